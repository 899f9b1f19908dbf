# Settings of the user data.
variable "package_url" {
  description = "Where the package sysmon-edge of the machine's architecture is, over https."
  type        = string
  validation {
    condition     = can(regex("^https://[^'\\s]+$", var.package_url))
    error_message = "package_url has to begin with https:// and contain no spaces or quotes."
  }
}

variable "package_sha256" {
  description = "SHA-256 of the package, from SHA256SUMS of the release; another file is not installed."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.package_sha256))
    error_message = "package_sha256 has to be 64 hexadecimal digits in lower case."
  }
}

variable "package_kind" {
  description = "deb or rpm."
  type        = string
  default     = "deb"
  validation {
    condition     = contains(["deb", "rpm"], var.package_kind)
    error_message = "package_kind has to be deb or rpm."
  }
}

variable "pairing_code" {
  description = "Code that `sysmon-hub edge add` presents. It is in the user data and the state; it is of no use once the edge is paired, or after pair_for."
  type        = string
  sensitive   = true
  validation {
    condition     = can(regex("^[0-9A-Za-z]{5}(-[0-9A-Za-z]{5}){4}$", var.pairing_code))
    error_message = "pairing_code has to be five groups of five characters, as `sysmon-edge pair` prints them."
  }
}

variable "pair_for" {
  description = "How long the edge waits for the hub, as a span of sysmon's."
  type        = string
  default     = "1h"
  validation {
    condition     = can(regex("^[1-9][0-9]*[smhd]$", var.pair_for))
    error_message = "pair_for has to be a number with s, m, h or d."
  }
}

variable "domains" {
  description = "Names of the page; the edge fetches their certificate by ACME. They have to lead to this machine."
  type        = list(string)
  validation {
    condition     = length(var.domains) > 0 && alltrue([for name in var.domains : can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", name))])
    error_message = "domains has to be a list of at least one name such as status.example.org."
  }
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

variable "acme_directory" {
  description = "Directory of the ACME authority; empty for the default."
  type        = string
  default     = ""
}
