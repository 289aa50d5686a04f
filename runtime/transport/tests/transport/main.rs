//! What the transport promises, over real sockets on loopback and, for links, in memory too.

mod bulk;
mod hello;
mod hostile;
mod links;
mod losses;
mod parcels;
mod pool;
mod roles;
mod support;
