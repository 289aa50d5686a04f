//! `#[quiltwork::task]`: one function becomes a call to submit, the plain function, and an entry in the registry.
use crate::body;
use crate::plain::{conditions, plain};
use crate::signature::{self, Parameter};
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Ident, ItemFn, Type};

/// Rewrites a function into its three parts.
pub(crate) fn expand(function: ItemFn) -> syn::Result<TokenStream> {
    let parameters = signature::parameters(&function.sig, "a task")?;
    let parts = Parts::of(&function, parameters);
    let submitting = parts.submitting(&function);
    let plain = plain(function, "task");
    let entry = parts.entry();
    Ok(quote! { #submitting #plain #entry })
}

/// What the three parts have in common.
struct Parts {
    name: Ident,
    /// The name under which workers find it, as an expression.
    path: TokenStream,
    parameters: Vec<Parameter>,
    output: Type,
    is_async: bool,
    conditions: Vec<Attribute>,
}

impl Parts {
    fn of(function: &ItemFn, parameters: Vec<Parameter>) -> Self {
        let name = function.sig.ident.clone();
        let text = name.unraw().to_string();
        Self {
            path: quote! { ::core::concat!(::core::module_path!(), "::", #text) },
            parameters,
            output: body::output(&function.sig.output),
            is_async: function.sig.asyncness.is_some(),
            conditions: conditions(function),
            name,
        }
    }

    /// The function that makes a `TaskCall`.
    fn submitting(&self, function: &ItemFn) -> TokenStream {
        let Self { name, path, conditions, parameters, output, .. } = self;
        let visibility = &function.vis;
        let docs = function.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
        let note =
            format!("\n\nMakes a call to be submitted; [`{0}::call`]({0}::call) is the plain function.", name.unraw());
        let (taken, given, value) = (body::taken(parameters), body::given(parameters), body::value(output));
        quote! {
            #(#docs)*
            #[doc = #note]
            #(#conditions)*
            #[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
            #visibility fn #name(#taken) -> ::quiltwork::TaskCall<#value> {
                ::quiltwork::__private::task_call(#path, #given)
            }
        }
    }

    /// The entry by which workers find it.
    fn entry(&self) -> TokenStream {
        let Self { name, path, conditions, parameters, output, is_async } = self;
        let signature = body::written(parameters, output);
        let (read, locals) = body::read(parameters);
        let called = quote! { #name::call(#(#locals),*) };
        let called = if *is_async {
            quote! { ::quiltwork::__private::block_on(#called) }
        } else {
            called
        };
        let ended = body::ended(&called, output, &body::finish(output));
        let ways = body::ways();
        quote! {
            #(#conditions)*
            const _: () = {
                #ways
                ::quiltwork::__private::inventory::submit! {
                    ::quiltwork::__private::TaskEntry {
                        name: #path,
                        signature: #signature,
                        run: |arguments| { #read #ended },
                    }
                }
            };
        }
    }
}
