//! `#[quiltwork::task]`: one function becomes a call to submit, the plain function, and an entry in the registry.
use crate::plain::{conditions, plain};
use crate::signature::{self, Parameter};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Ident, ItemFn, ReturnType, Type, parse_quote};

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
        let output = match &function.sig.output {
            ReturnType::Default => parse_quote! { () },
            ReturnType::Type(_, output) => (**output).clone(),
        };
        Self {
            path: quote! { ::core::concat!(::core::module_path!(), "::", #text) },
            parameters,
            output,
            is_async: function.sig.asyncness.is_some(),
            conditions: conditions(function),
            name,
        }
    }

    /// The function that makes a `TaskCall`.
    fn submitting(&self, function: &ItemFn) -> TokenStream {
        let Self { name, path, conditions, .. } = self;
        let visibility = &function.vis;
        let docs = function.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
        let note =
            format!("\n\nMakes a call to be submitted; [`{0}::call`]({0}::call) is the plain function.", name.unraw());
        let value = self.value();
        let names = self.parameters.iter().map(|parameter| &parameter.name);
        let kinds = self.parameters.iter().map(|parameter| &parameter.kind);
        let arguments = self.parameters.iter().map(|Parameter { name, kind }| {
            let text = name.unraw().to_string();
            quote! { (#text, ::quiltwork::IntoArgument::<#kind>::into_argument(#name)) }
        });
        quote! {
            #(#docs)*
            #[doc = #note]
            #(#conditions)*
            #[allow(clippy::too_many_arguments, clippy::used_underscore_binding)]
            #visibility fn #name(#(#names: impl ::quiltwork::IntoArgument<#kinds>),*) -> ::quiltwork::TaskCall<#value> {
                ::quiltwork::__private::task_call(#path, [#(#arguments),*])
            }
        }
    }

    /// The type of the value the task makes.
    fn value(&self) -> TokenStream {
        let output = &self.output;
        if signature::is_result(output) {
            quote_spanned! { output.span() => <#output as ::quiltwork::__private::TaskReturn>::Value }
        } else {
            quote! { #output }
        }
    }

    /// The entry by which workers find it.
    fn entry(&self) -> TokenStream {
        let Self { name, path, conditions, output, .. } = self;
        let kinds: Vec<_> = self.parameters.iter().map(|parameter| signature::text(&parameter.kind)).collect();
        let signature = format!("fn({}) -> {}", kinds.join(", "), signature::text(output));
        let locals: Vec<_> =
            (0..kinds.len()).map(|index| Ident::new(&format!("argument_{index}"), Span::mixed_site())).collect();
        let read = self.parameters.iter().zip(&locals).map(|(Parameter { name, kind }, local)| {
            let text = name.unraw().to_string();
            let next = quote_spanned! { kind.span() => ::quiltwork::__private::next_argument::<#kind> };
            quote! { let #local = #next(arguments, #text)?; }
        });
        let called = quote! { #name::call(#(#locals),*) };
        let called = if self.is_async {
            quote! { ::quiltwork::__private::block_on(#called) }
        } else {
            called
        };
        let value = self.value();
        let finish = quote_spanned! { output.span() => ::quiltwork::__private::finish::<#value> };
        let ended = if signature::is_result(output) {
            let fail = quote_spanned! { output.span() => (&&&::quiltwork::__private::Fault(&error)).task_error() };
            quote! {
                match #called {
                    ::core::result::Result::Ok(output) => #finish(arguments, output),
                    ::core::result::Result::Err(error) => ::core::result::Result::Err(#fail),
                }
            }
        } else {
            quote! { #finish(arguments, #called) }
        };
        quote! {
            #(#conditions)*
            const _: () = {
                #[allow(unused_imports, reason = "each error type needs one of them")]
                use ::quiltwork::__private::{ViaDeref as _, ViaDisplay as _, ViaError as _};
                ::quiltwork::__private::inventory::submit! {
                    ::quiltwork::__private::TaskEntry {
                        name: #path,
                        signature: #signature,
                        run: |arguments| { #(#read)* arguments.end()?; #ended },
                    }
                }
            };
        }
    }
}
