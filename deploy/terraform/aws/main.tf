# An edge on the smallest arm64 instance of AWS, with an elastic address, a DNS record and a certificate by ACME.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
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

# Debian's own account.
data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"]
  filter {
    name   = "name"
    values = ["debian-12-arm64-*"]
  }
  filter {
    name   = "architecture"
    values = ["arm64"]
  }
}

data "aws_subnet" "edge" {
  id = var.subnet_id
}

resource "aws_security_group" "edge" {
  name        = "${var.name}-edge"
  description = "Browsers on 443, the hub on 7979; the hub dials in"
  vpc_id      = data.aws_subnet.edge.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "page" {
  security_group_id = aws_security_group.edge.id
  description       = "Browsers, and the ACME authority"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_ingress_rule" "hub" {
  for_each          = toset(var.hub_networks)
  security_group_id = aws_security_group.edge.id
  description       = "The hub, QUIC with mutual TLS"
  ip_protocol       = "udp"
  from_port         = 7979
  to_port           = 7979
  cidr_ipv4         = each.value
}

# For the package, updates of the system and the ACME authority.
resource "aws_vpc_security_group_egress_rule" "https" {
  for_each          = { https = 443, http = 80 }
  security_group_id = aws_security_group.edge.id
  description       = "Packages and the ACME authority, ${each.key}"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_instance" "edge" {
  ami                    = data.aws_ami.debian.id
  instance_type          = var.instance_type
  subnet_id              = var.subnet_id
  vpc_security_group_ids = [aws_security_group.edge.id]
  ebs_optimized          = true
  user_data              = module.edge.user_data
  # A new code or package makes a new machine, which has to be paired again.
  user_data_replace_on_change = true

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  root_block_device {
    volume_size = 8
    volume_type = "gp3"
    encrypted   = true
  }
  lifecycle {
    # A newer image of Debian is no reason for a new machine.
    ignore_changes = [ami]
  }
  tags = { Name = "${var.name}-edge" }
}

resource "aws_eip" "edge" {
  domain = "vpc"
  tags   = { Name = "${var.name}-edge" }
}

resource "aws_eip_association" "edge" {
  instance_id   = aws_instance.edge.id
  allocation_id = aws_eip.edge.id
}

resource "aws_route53_record" "edge" {
  count   = var.zone_id == "" ? 0 : 1
  zone_id = var.zone_id
  name    = var.domain
  type    = "A"
  ttl     = 300
  records = [aws_eip.edge.public_ip]
}
