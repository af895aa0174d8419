//! What a listener speaks, by a word of each language. A broker that is spoken to in the wrong one
//! closes the connection without a word, as a broker does that is going down: only asking tells.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// TLS, whatever is spoken inside.
    Tls,
    /// Kafka's own protocol.
    Plaintext,
}

/// A TLS 1.2 record with an empty ClientHello: who speaks TLS answers with an alert.
const HELLO: [u8; 9] = [22, 3, 3, 0, 4, 1, 0, 0, 0];
/// The content types of TLS: an alert, a handshake.
const TLS: [u8; 2] = [21, 22];
/// Kafka's ApiVersions, version 0: length, key, version, correlation id, the client's name. Every
/// broker answers it, before any authentication, with a length and the correlation id.
const VERSIONS: [u8; 18] =
    [0, 0, 0, 14, 0, 18, 0, 0, b'w', b'e', b'i', b'r', 0, 4, b'w', b'e', b'i', b'r'];
const CORRELATION: &[u8] = b"weir";

/// What is spoken at `host:port`, if it shows within `wait`.
pub(super) fn speaks(server: &str, wait: Duration) -> Option<Speaks> {
    let ask = |word: &[u8], answer: &mut [u8]| -> std::io::Result<()> {
        let mut addresses = server.trim().to_socket_addrs()?;
        let stream = addresses.find_map(|at| TcpStream::connect_timeout(&at, wait).ok());
        let mut stream = stream.ok_or(std::io::ErrorKind::ConnectionRefused)?;
        stream.set_read_timeout(Some(wait))?;
        stream.write_all(word)?;
        stream.read_exact(answer)
    };
    let mut versions = [0; 8];
    if ask(&VERSIONS, &mut versions).is_ok() && &versions[4..] == CORRELATION {
        return Some(Speaks::Plaintext);
    }
    let mut record = [0; 2];
    if ask(&HELLO, &mut record).is_ok() && TLS.contains(&record[0]) && record[1] == 3 {
        return Some(Speaks::Tls);
    }
    None
}
