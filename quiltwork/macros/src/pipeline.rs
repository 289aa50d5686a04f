//! `#[quiltwork::pipeline]`: one function becomes what is called with data, the plain function, and an entry in the
//! registry.
use crate::plain::{conditions, plain};
use crate::signature::{self, Parameter};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Error, Ident, ItemFn, ReturnType};

/// Rewrites a function into its three parts.
pub(crate) fn expand(function: ItemFn) -> syn::Result<TokenStream> {
    let parameters = signature::parameters(&function.sig, "a pipeline")?;
    if let Some(token) = &function.sig.asyncness {
        let message = "a pipeline cannot be an `async fn`: it only describes what shall run";
        return Err(Error::new_spanned(token, message));
    }
    let ReturnType::Type(_, output) = &function.sig.output else {
        let message = "a pipeline makes something: it returns `Partitioned<_>`, `Single<_>` or a tuple of these";
        return Err(Error::new_spanned(&function.sig, message));
    };
    let called = called(&function, &parameters, output);
    let entry = entry(&function, &parameters, output);
    let plain = plain(function, "pipeline");
    Ok(quote! { #called #plain #entry })
}

/// The name under which workers find it, as an expression.
fn path(function: &ItemFn) -> TokenStream {
    let text = function.sig.ident.unraw().to_string();
    quote! { ::core::concat!(::core::module_path!(), "::", #text) }
}

/// The function that makes a `Pipeline`.
fn called(function: &ItemFn, parameters: &[Parameter], output: &syn::Type) -> TokenStream {
    let (name, visibility, path) = (&function.sig.ident, &function.vis, path(function));
    let conditions = conditions(function);
    let docs = function.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let note = format!(
        "\n\nMakes a pipeline to be run; [`{0}::call`]({0}::call) describes it as a part of another.",
        name.unraw()
    );
    let names: Vec<_> = parameters.iter().map(|parameter| &parameter.name).collect();
    let kinds: Vec<_> = parameters.iter().map(|parameter| &parameter.kind).collect();
    quote! {
        #(#docs)*
        #[doc = #note]
        #(#conditions)*
        #[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
        #visibility fn #name(
            #(#names: impl ::quiltwork::data::IntoParameter<#kinds>),*
        ) -> ::quiltwork::data::Pipeline<#output> {
            ::quiltwork::__private::pipeline(
                #path,
                [#(::quiltwork::data::IntoParameter::<#kinds>::into_parameter(#names)),*],
            )
        }
    }
}

/// The entries by which workers find it: its description, and the function of its tasks.
fn entry(function: &ItemFn, parameters: &[Parameter], output: &syn::Type) -> TokenStream {
    let (name, path, conditions) = (&function.sig.ident, path(function), conditions(function));
    let locals: Vec<_> =
        (0..parameters.len()).map(|index| Ident::new(&format!("parameter_{index}"), Span::mixed_site())).collect();
    let kinds: Vec<_> = parameters.iter().map(|parameter| signature::text(&parameter.kind)).collect();
    let signature = format!("pipeline({}) -> {}", kinds.join(", "), signature::text(output));
    let read = parameters.iter().zip(&locals).map(|(Parameter { name, kind }, local)| {
        let text = name.unraw().to_string();
        let next = quote_spanned! { kind.span() => givens.next::<#kind> };
        quote! { let #local = #next(#text)?; }
    });
    quote! {
        #(#conditions)*
        const _: () = {
            ::quiltwork::__private::inventory::submit! {
                ::quiltwork::__private::PipelineEntry {
                    name: #path,
                    describe: |mut givens: ::quiltwork::__private::Givens| {
                        #(#read)*
                        ::core::result::Result::Ok(givens.finish(#name::call(#(#locals),*)))
                    },
                }
            }
            ::quiltwork::__private::inventory::submit! {
                ::quiltwork::__private::TaskEntry {
                    name: #path,
                    signature: #signature,
                    run: ::quiltwork::__private::make_piece,
                }
            }
        };
    }
}
