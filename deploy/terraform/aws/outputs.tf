# What to do once the machine is there.
output "address" {
  description = "Address of the edge."
  value       = aws_eip.edge.public_ip
}

output "hub_command" {
  description = "Run it on the hub's machine, with the code in the file."
  value       = "sysmon-hub --state /var/lib/sysmon/hub edge add ${aws_eip.edge.public_ip}:7979 --code-file pairing-code"
}

output "page" {
  description = "Where the page is once the hub has paired the edge."
  value       = "https://${var.domain}/"
}
