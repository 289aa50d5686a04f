//! A real master on loopback and fake peers that speak the protocol by hand: what each side is told, and when.
mod adopting;
mod dispatch;
mod harness;
mod inside;
mod limits;
mod loss;
mod misbehaviour;
mod mixing;
mod values;
