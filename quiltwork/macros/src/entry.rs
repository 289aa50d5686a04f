//! `#[quiltwork::main]`: wraps a `main` so that the process can become a worker before anything else happens.
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Error, ItemFn};

/// Rewrites `main`.
pub(crate) fn expand(mut main: ItemFn) -> syn::Result<TokenStream> {
    let signature = &main.sig;
    if signature.ident != "main" {
        return Err(Error::new_spanned(&signature.ident, "#[quiltwork::main] belongs on `fn main`"));
    }
    if !signature.inputs.is_empty() {
        let message = "`main` takes no parameters\nhint: read what the program was given with `std::env::args()`";
        return Err(Error::new_spanned(&signature.inputs, message));
    }
    if !signature.generics.params.is_empty() || signature.generics.where_clause.is_some() {
        return Err(Error::new_spanned(&signature.generics, "`main` cannot be generic"));
    }
    // The attribute of another runtime, such as `#[tokio::main]`, makes the inner function one without `async`.
    let (runtimes, attributes): (Vec<_>, Vec<_>) = std::mem::take(&mut main.attrs).into_iter().partition(is_runtime);
    let visibility = std::mem::replace(&mut main.vis, syn::Visibility::Inherited);
    let outcome = if signature.asyncness.is_some() && runtimes.is_empty() {
        quote! { ::quiltwork::__private::run_async(main()) }
    } else {
        quote! { main() }
    };
    Ok(quote! {
        #(#attributes)*
        #visibility fn main() -> ::std::process::ExitCode {
            ::quiltwork::init();
            #(#runtimes)*
            #main
            ::quiltwork::__private::MainReturn::report(#outcome)
        }
    })
}

/// What stands beside a mistake: the program still has a `main`, and what is in it is still compiled.
pub(crate) fn beside_mistake(item: TokenStream) -> TokenStream {
    match syn::parse2::<ItemFn>(item.clone()) {
        Ok(main) if main.sig.ident == "main" => quote! { fn main() { #[allow(unused)] #main } },
        _ => item,
    }
}

fn is_runtime(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == "main")
}
