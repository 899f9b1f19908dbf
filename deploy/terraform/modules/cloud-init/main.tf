# Renders the user data of a machine that becomes an edge: any provider that runs cloud-init takes it. Needs no provider itself.

terraform {
  required_version = ">= 1.5"
}

locals {
  package = "/var/cache/sysmon-edge.${var.package_kind}"

  # sysmon reads TOML; a JSON string is a TOML basic string.
  config = join("\n", concat(
    [
      "[edge]",
      "listen = \"[::]:7979\"",
      "web = \"[::]:443\"",
      "title = ${jsonencode(var.title)}",
      "acme = ${jsonencode(var.domains)}",
    ],
    var.acme_contact == "" ? [] : ["acme_contact = ${jsonencode(var.acme_contact)}"],
    var.acme_directory == "" ? [] : ["acme_directory = ${jsonencode(var.acme_directory)}"],
    [""],
  ))

  installer = {
    deb = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends -o Dpkg::Options::=--force-confold"
    rpm = "dnf install --assumeyes"
  }

  # The page's port is below 1024. Without an identity there is nothing to run.
  drop_in = <<-EOT
    [Unit]
    ConditionPathExists=/var/lib/sysmon/edge/key.pem

    [Service]
    CapabilityBoundingSet=CAP_NET_BIND_SERVICE
    AmbientCapabilities=CAP_NET_BIND_SERVICE
  EOT

  # Waits for the hub, which dials in with the code; the private key is made here and never leaves the machine.
  pairing = <<-EOT
    [Unit]
    Description=sysmon edge: waits to be paired by its hub
    Wants=network-online.target
    After=network-online.target
    ConditionPathExists=!/var/lib/sysmon/edge/key.pem
    OnSuccess=sysmon-edge.service

    [Service]
    Type=oneshot
    ExecStart=/usr/bin/sysmon-edge --state /var/lib/sysmon/edge pair --code-file /etc/sysmon/pairing-code --for ${var.pair_for}
    ExecStopPost=/bin/rm -f /etc/sysmon/pairing-code
    TimeoutStartSec=infinity
    UMask=0077

    [Install]
    WantedBy=multi-user.target
  EOT

  install = <<-EOT
    #!/bin/sh
    # Installs the package if it is the one that was meant, and waits for the hub.
    set -eu
    curl --fail --silent --show-error --location --retry 10 --retry-all-errors --output ${local.package} '${var.package_url}'
    echo '${var.package_sha256}  ${local.package}' | sha256sum --check --strict || { rm -f ${local.package}; exit 1; }
    ${local.installer[var.package_kind]} ${local.package}
    rm -f ${local.package}
    systemctl daemon-reload
    systemctl enable sysmon-edge.service sysmon-edge-pair.service
    systemctl start --no-block sysmon-edge-pair.service
  EOT

  user_data = {
    package_update = true
    packages       = ["curl", "ca-certificates"]
    write_files = [
      { path = "/etc/sysmon/config.toml", permissions = "0644", content = local.config },
      { path = "/etc/sysmon/pairing-code", permissions = "0600", content = "${var.pairing_code}\n" },
      { path = "/etc/systemd/system/sysmon-edge.service.d/port.conf", permissions = "0644", content = local.drop_in },
      { path = "/etc/systemd/system/sysmon-edge-pair.service", permissions = "0644", content = local.pairing },
      { path = "/usr/local/sbin/sysmon-edge-install", permissions = "0755", content = local.install },
    ]
    runcmd = [["/usr/local/sbin/sysmon-edge-install"]]
  }
}
