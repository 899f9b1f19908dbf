package_url    = "https://packages.example.org/sysmon-edge_0.1.0_arm64.deb"
package_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
pairing_code   = "ABCDE-FGHJK-MNPQR-STVWX-YZ234"
domains        = ["status.example.org"]
acme_contact   = "admin@example.org"
