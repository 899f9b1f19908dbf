# An edge on the smallest arm64 server of Hetzner. The same user data works wherever cloud-init runs.

terraform {
  required_version = ">= 1.5"
  required_providers {
    hcloud = {
      source  = "hetznercloud/hcloud"
      version = "~> 1.48"
    }
  }
}

module "edge" {
  source = "../modules/cloud-init"

  package_url    = var.package_url
  package_sha256 = var.package_sha256
  pairing_code   = var.pairing_code
  pair_for       = var.pair_for
  domains        = [var.domain]
  title          = var.title
  acme_contact   = var.acme_contact
}

resource "hcloud_firewall" "edge" {
  name = "${var.name}-edge"
  rule {
    description = "Browsers, and the ACME authority"
    direction   = "in"
    protocol    = "tcp"
    port        = "443"
    source_ips  = ["0.0.0.0/0", "::/0"]
  }
  rule {
    description = "The hub, QUIC with mutual TLS"
    direction   = "in"
    protocol    = "udp"
    port        = "7979"
    source_ips  = var.hub_networks
  }
}

# Outlives the server, so that the DNS record does too.
resource "hcloud_primary_ip" "edge" {
  name          = "${var.name}-edge"
  datacenter    = var.datacenter
  type          = "ipv4"
  assignee_type = "server"
  auto_delete   = false
}

resource "hcloud_server" "edge" {
  name         = "${var.name}-edge"
  image        = "debian-12"
  server_type  = var.server_type
  datacenter   = var.datacenter
  firewall_ids = [hcloud_firewall.edge.id]
  ssh_keys     = var.ssh_keys
  user_data    = module.edge.user_data
  public_net {
    ipv4 = hcloud_primary_ip.edge.id
  }
}
