//! What tasks and the methods of actors have in common: reading arguments, and making of what a function returns what travels.
use crate::signature::{self, Parameter};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Ident, ReturnType, Type, parse_quote};

/// What a function returns.
pub(crate) fn output(output: &ReturnType) -> Type {
    match output {
        ReturnType::Default => parse_quote! { () },
        ReturnType::Type(_, output) => (**output).clone(),
    }
}

/// The type of the value it makes.
pub(crate) fn value(output: &Type) -> TokenStream {
    if signature::is_result(output) {
        quote_spanned! { output.span() => <#output as ::quiltwork::__private::TaskReturn>::Value }
    } else {
        quote! { #output }
    }
}

/// The parameters of the function that makes a call.
pub(crate) fn taken(parameters: &[Parameter]) -> TokenStream {
    let names = parameters.iter().map(|parameter| &parameter.name);
    let kinds = parameters.iter().map(|parameter| &parameter.kind);
    quote! { #(#names: impl ::quiltwork::IntoArgument<#kinds>),* }
}

/// What becomes of them: an array of names and arguments.
pub(crate) fn given(parameters: &[Parameter]) -> TokenStream {
    let arguments = parameters.iter().map(|Parameter { name, kind }| {
        let text = name.unraw().to_string();
        quote! { (#text, ::quiltwork::IntoArgument::<#kind>::into_argument(#name)) }
    });
    quote! { [#(#arguments),*] }
}

/// Statements that read all arguments, and the locals they are in then.
pub(crate) fn read(parameters: &[Parameter]) -> (TokenStream, Vec<Ident>) {
    let local = |index| Ident::new(&format!("argument_{index}"), Span::mixed_site());
    let locals: Vec<_> = (0..parameters.len()).map(local).collect();
    let read = parameters.iter().zip(&locals).map(|(Parameter { name, kind }, local)| {
        let text = name.unraw().to_string();
        let next = quote_spanned! { kind.span() => ::quiltwork::__private::next_argument::<#kind> };
        quote! { let #local = #next(arguments, #text)?; }
    });
    (quote! { #(#read)* }, locals)
}

/// What becomes of `called`, which returns an `output`: `finish` of its value, or its error on its way.
pub(crate) fn ended(called: &TokenStream, output: &Type, finish: &TokenStream) -> TokenStream {
    if !signature::is_result(output) {
        return quote! { #finish(#called) };
    }
    let fail = quote_spanned! { output.span() => (&&&::quiltwork::__private::Fault(&error)).task_error() };
    quote! {
        match #called {
            ::core::result::Result::Ok(output) => #finish(output),
            ::core::result::Result::Err(error) => ::core::result::Result::Err(#fail),
        }
    }
}

/// The function that encodes a value.
pub(crate) fn finish(output: &Type) -> TokenStream {
    let value = value(output);
    quote_spanned! { output.span() => ::quiltwork::__private::finish::<#value> }
}

/// How a function is written, for telling one build from another.
pub(crate) fn written(parameters: &[Parameter], output: &Type) -> String {
    let kinds: Vec<_> = parameters.iter().map(|parameter| signature::text(&parameter.kind)).collect();
    format!("fn({}) -> {}", kinds.join(", "), signature::text(output))
}

/// The imports by which an error of any type finds its way.
pub(crate) fn ways() -> TokenStream {
    quote! {
        #[allow(unused_imports, reason = "each error type needs one of them")]
        use ::quiltwork::__private::{ViaDeref as _, ViaDisplay as _, ViaError as _};
    }
}
