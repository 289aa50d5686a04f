//! The part that tasks and pipelines have in common: the function as it was written, kept callable under `name::call`.
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Ident, ItemFn, parse_quote};

/// The `#[cfg]`s of a function: they decide about everything that is made of it.
pub(crate) fn conditions(function: &ItemFn) -> Vec<Attribute> {
    function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect()
}

/// The type that carries the function as it was written, under the name `call`; `kind` is what it is made into.
pub(crate) fn plain(mut function: ItemFn, kind: &str) -> TokenStream {
    let conditions = conditions(&function);
    let (name, visibility) = (function.sig.ident.clone(), function.vis.clone());
    let note = format!("Carries the plain function of the {kind} `{}`.", name.unraw());
    function.sig.ident = Ident::new("call", name.span());
    if !function.attrs.iter().any(|attribute| attribute.path().is_ident("doc")) {
        function.attrs.push(parse_quote! { #[doc = "The plain function."] });
    }
    quote! {
        #[doc = #note]
        #(#conditions)*
        #[allow(non_camel_case_types, clippy::empty_enums)]
        #visibility enum #name {}

        #(#conditions)*
        impl #name {
            #function
        }
    }
}
