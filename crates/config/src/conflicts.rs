//! Keys that are valid alone but conflict with each other.

use crate::keys::EdgeConfig;

/// The keys of `[edge]` that conflict, and why.
pub(crate) fn edge(edge: &EdgeConfig) -> Result<(), (&'static [&'static str], &'static str)> {
    let has_acme = !edge.acme.is_empty();
    if edge.certificate.is_some() != edge.key.is_some() {
        let why = "certificate and key belong together: set both or neither";
        return Err((&["certificate", "key"], why));
    }
    if has_acme && edge.certificate.is_some() {
        let why = "the certificate is either obtained by ACME or read from files: leave out certificate and key, or acme";
        return Err((&["acme", "certificate"], why));
    }
    if !has_acme && (edge.acme_contact.is_some() || edge.acme_roots.is_some()) {
        let why = "these keys need acme, the names to obtain a certificate for: add for example acme = [\"status.example.org\"]";
        return Err((&["acme_contact", "acme_roots"], why));
    }
    if edge.proxy_user_header.is_some() && edge.proxies.is_empty() {
        let why = "any client could send this header: list the trusted proxy in proxies, for example proxies = [\"127.0.0.1\"]";
        return Err((&["proxy_user_header"], why));
    }
    if edge.proxy_user_header.is_some() && edge.logins.is_some() {
        let why = "users are authenticated either by the proxy or by a file of logins: leave out proxy_user_header or logins";
        return Err((&["proxy_user_header", "logins"], why));
    }
    Ok(())
}
