//! Counts the open connections of each peer.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The connections that each peer has open. A peer is an IPv4 address, or the first 64 bits of an IPv6 address: a network that one
/// subscriber has (RFC 6177).
#[derive(Clone)]
pub struct Peers {
    limit: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The place of one connection; dropping it frees the place.
pub struct PeerPlace {
    peers: Peers,
    peer: IpAddr,
}

impl Peers {
    /// At most `limit` connections for each peer; 0 is no limit.
    pub fn new(limit: usize) -> Self {
        Peers { limit, open: Arc::default() }
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Counts a connection; `None` if its peer has the maximum open.
    pub fn admit(&self, address: IpAddr) -> Option<PeerPlace> {
        let peer = peer(address);
        let mut counts = self.counts();
        let open = counts.entry(peer).or_default();
        if self.limit > 0 && *open >= self.limit {
            return None;
        }
        *open += 1;
        Some(PeerPlace { peers: self.clone(), peer })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut counts = self.peers.counts();
        if let Some(open) = counts.get_mut(&self.peer) {
            *open -= 1;
            if *open == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

/// The address by which a peer is counted.
fn peer(address: IpAddr) -> IpAddr {
    const INTERFACE_BITS: u32 = 64;
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> INTERFACE_BITS << INTERFACE_BITS)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_its_own_places() {
        let peers = Peers::new(2);
        let admit = |address: &str| peers.admit(address.parse().expect("an address"));
        let first = admit("192.0.2.1");
        let _second = admit("::ffff:192.0.2.1").expect("the same peer, mapped to IPv6");
        assert!(admit("192.0.2.1").is_none());
        let _other = (admit("192.0.2.2").expect("another"), admit("2001:db8::1").expect("a third"));
        let _network = admit("2001:db8::ffff:1").expect("the same network");
        assert!(admit("2001:db8::2").is_none());
        assert!(admit("2001:db8:0:1::1").is_some());
        drop(first);
        assert!(admit("192.0.2.1").is_some());
        drop((_second, _other, _network));
        assert!(peers.counts().is_empty(), "peers without connections are forgotten");
        assert!((0..1000).all(|_| Peers::new(0).admit(IpAddr::V4([192, 0, 2, 1].into())).is_some()));
    }
}
