//! The bytes on the wire: pinned by a golden file, and harmless however they are damaged.
mod catalogue;
mod exemplars;
mod golden;
mod hostile;
mod limits;
mod specimen;
