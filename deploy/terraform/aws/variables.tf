# Settings of an edge on AWS.
variable "name" {
  description = "Name of the resources."
  type        = string
  default     = "sysmon"
}

variable "subnet_id" {
  description = "A public subnet."
  type        = string
}

variable "instance_type" {
  description = "An arm64 type; the edge needs little."
  type        = string
  default     = "t4g.nano"
}

variable "domain" {
  description = "Name of the page."
  type        = string
}

variable "zone_id" {
  description = "Route 53 zone for the record of the domain; empty to make the record elsewhere."
  type        = string
  default     = ""
}

variable "hub_networks" {
  description = "Where the hub may dial in from, for example [\"203.0.113.7/32\"]."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "package_url" {
  description = "Where the arm64 Debian package sysmon-edge is, over https."
  type        = string
}

variable "package_sha256" {
  description = "SHA-256 of the package."
  type        = string
}

variable "pairing_code" {
  description = "Code that `sysmon-hub edge add` presents; see the module cloud-init."
  type        = string
  sensitive   = true
}

variable "pair_for" {
  description = "How long the edge waits for the hub."
  type        = string
  default     = "1h"
}

variable "title" {
  description = "Title of the page."
  type        = string
  default     = "Status"
}

variable "acme_contact" {
  description = "Mail address for the ACME account; empty for none."
  type        = string
  default     = ""
}
