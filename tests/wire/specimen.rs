//! One encoded example with its type forgotten: a name, the bytes, and a way to read such bytes again.
use bytes::BytesMut;
use quiltwork_protocol::{Message, Parcel, codec, decode_parcels, encode_parcel};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{self, Debug};

/// What became of bytes that were read as the specimen's type.
#[derive(Debug, PartialEq)]
pub(crate) enum Reading {
    /// The exemplar itself.
    Same,
    /// Something else of that type.
    Other,
    /// Nothing yet: more bytes are needed.
    Incomplete,
    /// An error, with its message.
    Refused(String),
}

type Reader = dyn Fn(&[u8]) -> Reading + Send + Sync;

/// One line of the golden file.
pub(crate) struct Specimen {
    /// The line's name, `Enum.Variant`.
    pub(crate) name: String,
    /// The exemplar, encoded by this build.
    pub(crate) bytes: Vec<u8>,
    reader: Box<Reader>,
}

impl Debug for Specimen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Specimen {
    /// A whole message as it lies on a control stream: header, head and payloads.
    pub(crate) fn parcel<M>(name: String, parcel: Parcel<M>) -> Self
    where
        M: Message + Clone + Debug + PartialEq + Sync,
    {
        let mut bytes = Vec::new();
        encode_parcel(&parcel, &mut bytes).expect("an exemplar is within all limits");
        let reader = move |bytes: &[u8]| {
            let mut buffer = BytesMut::from(bytes);
            let mut parcels: Vec<Parcel<M>> = Vec::new();
            match decode_parcels(&mut buffer, &mut parcels) {
                Err(error) => Reading::Refused(error.to_string()),
                Ok(()) if parcels.is_empty() => Reading::Incomplete,
                Ok(()) if buffer.is_empty() && parcels == [parcel.clone()] => Reading::Same,
                Ok(()) => Reading::Other,
            }
        };
        Self { name, bytes, reader: Box::new(reader) }
    }

    /// Something that is, or is part of, a message head.
    pub(crate) fn head<T>(name: String, exemplar: T) -> Self
    where
        T: Serialize + DeserializeOwned + Debug + PartialEq + Send + Sync + 'static,
    {
        let mut bytes = Vec::new();
        codec::encode_head(&exemplar, &mut bytes).expect("an exemplar is within all limits");
        let reader = move |bytes: &[u8]| match codec::decode_head::<T>(bytes) {
            Err(error) => Reading::Refused(error.to_string()),
            Ok(decoded) if decoded == exemplar => Reading::Same,
            Ok(_) => Reading::Other,
        };
        Self { name, bytes, reader: Box::new(reader) }
    }

    /// Reads bytes as this specimen's type.
    pub(crate) fn read(&self, bytes: &[u8]) -> Reading {
        (self.reader)(bytes)
    }
}
