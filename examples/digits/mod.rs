//! What `train_digits` learns: the digits and their partitions, and the network; nothing here knows of a cluster.
pub(crate) mod data;
pub(crate) mod model;
