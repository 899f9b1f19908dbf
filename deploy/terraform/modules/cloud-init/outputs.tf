# The user data.
output "user_data" {
  description = "For the machine's user data."
  value       = "#cloud-config\n${yamlencode(local.user_data)}"
  sensitive   = true
}

output "files" {
  description = "What is written on the machine, by path: for tests."
  value       = { for file in local.user_data.write_files : file.path => file.content }
  sensitive   = true
}
