//! What partitions are made of: values that are encoded one after the other, unlike a value that travels as it is.
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What can be an element of [`Partitioned`](super::Partitioned) data. Every type that derives serde's two traits and
/// borrows nothing is a record; see [`Portable`](crate::Portable) for the attributes of serde that do not work.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a record of partitioned data",
    label = "not a record",
    note = "records need `#[derive(serde::Serialize, serde::Deserialize)]` (`cargo add serde --features derive`), and must be `Send` and own what they hold"
)]
pub trait Record: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Record for T {}
