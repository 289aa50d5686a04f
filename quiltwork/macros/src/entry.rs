//! `#[quiltwork::main]`: wraps a `main` so that the process can become a worker before anything else happens.
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn};

/// Rewrites `main`.
pub(crate) fn expand(mut main: ItemFn) -> syn::Result<TokenStream> {
    let signature = &main.sig;
    if signature.ident != "main" {
        return Err(Error::new_spanned(&signature.ident, "#[quiltwork::main] belongs on `fn main`"));
    }
    if !signature.inputs.is_empty() {
        return Err(Error::new_spanned(&signature.inputs, "`main` takes no parameters"));
    }
    if !signature.generics.params.is_empty() || signature.generics.where_clause.is_some() {
        return Err(Error::new_spanned(&signature.generics, "`main` cannot be generic"));
    }
    let attributes = std::mem::take(&mut main.attrs);
    let visibility = std::mem::replace(&mut main.vis, syn::Visibility::Inherited);
    let outcome = if signature.asyncness.is_some() {
        quote! { ::quiltwork::__private::run_async(main()) }
    } else {
        quote! { main() }
    };
    Ok(quote! {
        #(#attributes)*
        #visibility fn main() -> ::std::process::ExitCode {
            ::quiltwork::init();
            #main
            ::quiltwork::__private::MainReturn::report(#outcome)
        }
    })
}
