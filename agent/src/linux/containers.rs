//! Container identifiers in the paths of control groups.

/// Minimum length of a container identifier, and the length it is shortened to.
const ID_MIN: usize = 12;

/// Prefixes of systemd scopes, `PREFIX-ID.scope`, of Docker, Podman, containerd, CRI-O and nerdctl.
const PREFIXES: [&[u8]; 5] = [
    b"docker-",
    b"libpod-",
    b"cri-containerd-",
    b"crio-",
    b"nerdctl-",
];

/// The container's name, or the first digits of its identifier, in the path of a control group.
pub(super) fn container_name(cgroup: &[u8]) -> Option<&[u8]> {
    let mut parent: &[u8] = b"";
    let mut found = None;
    for part in cgroup.split(|&byte| byte == b'/') {
        if let Some(name) = name_in_part(part, parent) {
            found = Some(name);
        }
        parent = part;
    }
    found
}

fn name_in_part<'a>(part: &'a [u8], parent: &[u8]) -> Option<&'a [u8]> {
    let bare = part.strip_suffix(b".scope").unwrap_or(part);
    if let Some(id) = PREFIXES
        .iter()
        .find_map(|prefix| bare.strip_prefix(*prefix))
    {
        return identifier(id);
    }
    if let Some(name) = bare.strip_prefix(b"lxc.payload.") {
        return Some(name);
    }
    if let Some(name) = part
        .strip_prefix(b"machine-")
        .and_then(|part| part.strip_suffix(b".scope"))
    {
        return Some(name);
    }
    match parent {
        b"lxc" | b"machine.slice" => Some(bare).filter(|name| !name.is_empty()),
        b"docker" => identifier(part),
        // Kubernetes without systemd: /kubepods/burstable/podUID/ID.
        _ if parent.starts_with(b"pod") => identifier(part),
        _ => None,
    }
}

fn identifier(id: &[u8]) -> Option<&[u8]> {
    let is_id = id.len() >= ID_MIN && id.iter().all(u8::is_ascii_hexdigit);
    is_id.then(|| id.get(..ID_MIN)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_recognized_by_their_control_group() {
        let id = "0123456789abcdef".repeat(4);
        let name = |path: &str| {
            container_name(path.replace("ID", &id).as_bytes())
                .map(|n| String::from_utf8_lossy(n).into_owned())
        };
        let short = Some("0123456789ab".to_owned());
        assert_eq!(name("/system.slice/docker-ID.scope"), short);
        assert_eq!(name("/docker/ID"), short);
        assert_eq!(name("/machine.slice/libpod-ID.scope/container"), short);
        assert_eq!(
            name("/kubepods.slice/kubepods-burstable.slice/cri-containerd-ID.scope"),
            short
        );
        assert_eq!(name("/kubepods/burstable/pod1-2/ID"), short);
        assert_eq!(name("/lxc.payload.web/init.scope"), Some("web".into()));
        assert_eq!(name("/machine.slice/machine-db.scope"), Some("db".into()));
        assert_eq!(name("/system.slice/docker.service"), None);
        assert_eq!(name("/user.slice/user-1000.slice"), None);
        assert_eq!(name(""), None);
    }
}
