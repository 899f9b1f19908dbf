# UNTESTED: there is no Homebrew where this was written. Set the URL of the source and its checksum.
class Sysmon < Formula
  desc "Monitors your machines from the terminal: agent, hub, edge and terminal"
  homepage "https://sysmon.invalid"
  url "https://releases.example.org/sysmon/0.1.0/sysmon-0.1.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    %w[agent hub edge tui].each do |program|
      system "cargo", "install", *std_cargo_args(path: program), "--profile", "dist"
      generate_completions_from_executable(bin/"sysmon-#{program}", "completions")
      system bin/"sysmon-#{program}", "man", man1
    end
    pkgetc.install "config.example.toml"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/sysmon-tui --version")
    system bin/"sysmon-agent", "sample"
  end
end
