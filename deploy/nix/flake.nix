# sysmon for Nix. UNTESTED: there is no Nix where this was written.
#   nix build 'git+file:///path/to/sysmon?dir=deploy/nix'
{
  description = "sysmon: agent, hub, edge and terminal";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      source = ../..;
      cargo = builtins.fromTOML (builtins.readFile "${source}/Cargo.toml");
    in
    {
      packages = each (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = "sysmon";
          version = cargo.workspace.package.version;
          src = source;
          cargoLock.lockFile = "${source}/Cargo.lock";
          buildType = "dist";
          # The tests need a network of their own, engines and a browser.
          doCheck = false;
          cargoBuildFlags = [ "--bins" ];
          nativeBuildInputs = [ pkgs.installShellFiles ];
          postInstall = ''
            rm -f $out/bin/xtask $out/bin/sysmon-bench
            for program in sysmon-agent sysmon-hub sysmon-edge sysmon-tui; do
              $out/bin/$program man man1
              installShellCompletion --cmd $program \
                --bash <($out/bin/$program completions bash) \
                --zsh <($out/bin/$program completions zsh) \
                --fish <($out/bin/$program completions fish)
            done
            installManPage man1/*.1
          '';
          meta.license = with pkgs.lib.licenses; [ mit asl20 ];
        };
      });
    };
}
