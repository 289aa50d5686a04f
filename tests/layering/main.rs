//! The rules of the house, read from the manifests, the sources and the documents; every failure names the place.
mod documents;
mod floors;
mod licences;
mod names;
mod sizes;
mod sources;
mod workspace;
