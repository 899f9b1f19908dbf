# Settings of an edge on Hetzner.
variable "name" {
  description = "Name of the resources."
  type        = string
  default     = "sysmon"
}

variable "server_type" {
  description = "An arm64 type; the edge needs little."
  type        = string
  default     = "cax11"
}

variable "datacenter" {
  description = "Where the server is."
  type        = string
  default     = "fsn1-dc14"
}

variable "ssh_keys" {
  description = "Names of keys for ssh; without any the provider mails a password."
  type        = list(string)
}

variable "domain" {
  description = "Name of the page. Make its A record lead to the output `address`."
  type        = string
}

variable "hub_networks" {
  description = "Where the hub may dial in from, for example [\"203.0.113.7/32\"]."
  type        = list(string)
  default     = ["0.0.0.0/0", "::/0"]
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
