//! The host that a request is sent to.
//!
//! The page of an attacker's site may have its browser send requests to this server under the name of that site, if the name leads
//! to this server's address (DNS rebinding). To the browser, they are requests of the page to its own site; only the name tells.

use axum::extract::Request;
use http::{header, uri::Authority};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Checks that a request is sent to `localhost`, an IP address or one of `names`, on any port.
///
/// # Errors
/// The message for the client.
pub fn check<T>(request: &Request<T>, names: &[String]) -> Result<(), String> {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()?.parse().ok());
    // HTTP/2 has it in the URI.
    let Some(authority) = request.uri().authority().cloned().or(named) else {
        return Err("the request names no host".to_owned());
    };
    match is_own(&authority, names) {
        true => Ok(()),
        false => Err(format!(
            "the server does not answer under the name {:?}: start it with --web-host {0}, or with --tokens",
            authority.host()
        )),
    }
}

fn is_own(authority: &Authority, names: &[String]) -> bool {
    let host = authority.host();
    let ipv6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok()
        || ipv6.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok())
        || names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_are_answered() {
        let names = ["news.example".to_owned()];
        let answered = |host: &str| {
            let request = Request::builder().header(header::HOST, host).body(()).expect("a request");
            check(&request, &names).is_ok()
        };
        let own = ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "10.1.2.3", "News.Example:80"];
        assert_eq!(own.map(answered), [true; 6]);
        let others = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "::1", "a news.example", ""];
        assert_eq!(others.map(answered), [false; 6]);
        let by_uri = |uri: &str| Request::builder().uri(uri).body(()).expect("a request");
        assert!(check(&by_uri("http://127.0.0.1:8080/v1/model"), &[]).is_ok());
        assert!(check(&by_uri("http://evil.example/v1/model"), &[]).is_err());
        assert!(check(&by_uri("/v1/model"), &[]).is_err());
    }
}
