//! What lets a client into a cluster, as one line of text.
use crate::error::{Error, Problem};
use quiltwork_protocol::codec;
use quiltwork_transport::Identity;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a cluster's master is and who may enter: prints as, and is read from, one line of text.
///
/// **A ticket contains a private key.** Whoever has it can run code in the cluster: hand it on as you would a password,
/// and never log it. `Debug` shows the address only.
#[derive(Clone, Serialize, Deserialize)]
pub struct Ticket {
    /// Where the master listens.
    pub master: SocketAddr,
    /// Who the bearer is to the cluster.
    pub identity: Identity,
    /// The area of values of the node the ticket was made for; whoever is not on that node does without.
    pub area: Option<PathBuf>,
}

/// How every ticket begins, so that people and programs recognize one.
const PREFIX: &str = "quiltwork:";

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::new();
        codec::encode_head(self, &mut bytes).map_err(|_| fmt::Error)?;
        f.write_str(PREFIX)?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Ticket {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits =
            text.trim().strip_prefix(PREFIX).ok_or_else(|| unreadable("it does not begin with `quiltwork:`"))?;
        let bytes =
            from_hex(digits).ok_or_else(|| unreadable("it is cut short or has characters that do not belong"))?;
        codec::decode_head(&bytes).map_err(|_| unreadable("it is cut short, or of another version of quiltwork"))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("master", &self.master).finish_non_exhaustive()
    }
}

/// Says nothing of the text itself: it may be most of a key.
fn unreadable(why: &str) -> Error {
    Error::Refused(
        Problem::new(format!("the ticket cannot be read: {why}"))
            .with_hint("copy the whole line that the cluster printed, from `quiltwork:` to its end"),
    )
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_transport::{Authority, Role};

    fn ticket() -> Ticket {
        let identity = Authority::new().unwrap().issue(Role::Client).unwrap();
        Ticket { master: "127.0.0.1:4711".parse().unwrap(), identity, area: Some("/dev/shm/x".into()) }
    }

    #[test]
    fn a_ticket_survives_being_one_line_of_text() {
        let text = ticket().to_string();
        assert!(!text.contains(char::is_whitespace));
        let read: Ticket = format!("  {text}\n").parse().unwrap();
        assert_eq!((read.to_string(), read.identity.role()), (text, Role::Client));
    }

    #[test]
    fn a_damaged_ticket_is_refused_without_being_repeated() {
        let text = ticket().to_string();
        for damaged in ["", "quiltwork:", "quiltwork:abc", "quiltwork:zz", &text[1..], &text[..text.len() - 2]] {
            let error = damaged.parse::<Ticket>().unwrap_err();
            assert!(matches!(error, Error::Refused(_)), "{error:?}");
            assert!(error.to_string().len() < 250, "{error}");
        }
    }

    #[test]
    fn debug_does_not_show_the_key() {
        assert_eq!(format!("{:?}", ticket()), "Ticket { master: 127.0.0.1:4711, .. }");
    }
}
