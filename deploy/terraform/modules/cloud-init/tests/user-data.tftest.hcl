variables {
  package_url    = "https://packages.example.org/sysmon-edge_0.1.0_arm64.deb"
  package_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  pairing_code   = "ABCDE-FGHJK-MNPQR-STVWX-YZ234"
  domains        = ["status.example.org"]
  title          = "Say \"hello\""
}

run "the_machine_installs_the_stated_package_and_waits_for_the_hub" {
  command = plan

  assert {
    condition     = startswith(output.user_data, "#cloud-config\n")
    error_message = "cloud-init would not read it"
  }
  assert {
    condition     = yamldecode(output.user_data).runcmd == [["/usr/local/sbin/sysmon-edge-install"]]
    error_message = "nothing installs the package"
  }
  assert {
    condition     = strcontains(output.files["/usr/local/sbin/sysmon-edge-install"], "${var.package_sha256}  /var/cache/sysmon-edge.deb")
    error_message = "the checksum is not verified"
  }
  assert {
    condition     = strcontains(output.files["/etc/sysmon/config.toml"], "title = \"Say \\\"hello\\\"\"")
    error_message = "the title is not quoted"
  }
  assert {
    condition     = !strcontains(output.user_data, "PRIVATE KEY")
    error_message = "a private key is in the user data"
  }
  assert {
    condition     = one([for file in yamldecode(output.user_data).write_files : file.permissions if file.path == "/etc/sysmon/pairing-code"]) == "0600"
    error_message = "everybody on the machine can read the pairing code"
  }
}

run "an_rpm_is_installed_by_dnf" {
  command = plan
  variables {
    package_kind = "rpm"
  }
  assert {
    condition     = strcontains(output.files["/usr/local/sbin/sysmon-edge-install"], "dnf install") && !strcontains(output.files["/usr/local/sbin/sysmon-edge-install"], "apt-get")
    error_message = "the package is not installed by dnf"
  }
}

run "what_cannot_work_is_refused" {
  command = plan
  variables {
    package_url    = "http://packages.example.org/edge.deb"
    package_sha256 = "abc"
    pairing_code   = "secret"
    pair_for       = "soon"
    domains        = []
  }
  expect_failures = [var.package_url, var.package_sha256, var.pairing_code, var.pair_for, var.domains]
}
