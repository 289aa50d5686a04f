//! `#[quiltwork::actor]`: one `impl` block becomes the block itself, calls of its methods, and an entry in the registry.
use crate::body;
use crate::signature::{self, Parameter};
use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, Error, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, Receiver, Type, Visibility};

/// The function that makes an actor.
const CONSTRUCTOR: &str = "new";

/// Adds to an `impl` block what makes its type an actor.
pub(crate) fn expand(block: ItemImpl) -> syn::Result<TokenStream> {
    let class = Class::of(&block)?;
    let (creating, calls, resident, entry) = (class.creating(), class.calls(), class.resident(), class.entry());
    let ways = body::ways();
    Ok(quote! {
        #block

        const _: () = {
            #ways
            #creating
            #calls
            #resident
            #entry
        };
    })
}

/// The type and what is called of it.
struct Class {
    name: Ident,
    kind: Type,
    constructor: Function,
    methods: Vec<Function>,
}

/// A constructor or a method.
struct Function {
    name: Ident,
    /// The name under which it is called, as an expression.
    path: TokenStream,
    visibility: Visibility,
    documents: Vec<Attribute>,
    conditions: Vec<Attribute>,
    parameters: Vec<Parameter>,
    output: Type,
    is_async: bool,
    /// It takes `&mut self`.
    is_exclusive: bool,
}

impl Class {
    fn of(block: &ItemImpl) -> syn::Result<Self> {
        let (name, kind) = type_of(block)?;
        let mut constructor = None;
        let mut methods = Vec::new();
        let mut mistakes = Vec::new();
        for item in &block.items {
            let ImplItem::Fn(function) = item else { continue };
            let is_constructor = function.sig.ident == CONSTRUCTOR;
            let receiver = function.sig.inputs.iter().find_map(|input| match input {
                FnArg::Receiver(receiver) => Some(receiver),
                FnArg::Typed(_) => None,
            });
            match (is_constructor, receiver) {
                (true, Some(receiver)) => {
                    let message = "the constructor of an actor has no `self`: it makes one";
                    mistakes.push(Error::new_spanned(receiver, message));
                }
                // It is called without an actor, like any other function.
                (false, None) => continue,
                _ => {}
            }
            match Function::of(function, &name, &kind, receiver) {
                Ok(read) if is_constructor => constructor = Some(read),
                Ok(read) => methods.push(read),
                Err(error) => mistakes.push(error),
            }
        }
        if constructor.is_none() && mistakes.is_empty() {
            let message = format!("an actor needs a constructor\nhint: add `fn new(…) -> Self` to `impl {name}`");
            mistakes.push(Error::new_spanned(&block.self_ty, message));
        }
        let all = mistakes.into_iter().reduce(|mut all, mistake| {
            all.combine(mistake);
            all
        });
        match (all, constructor) {
            (None, Some(constructor)) => Ok(Self { name, kind, constructor, methods }),
            (mistakes, _) => Err(mistakes.expect("without a constructor there is a mistake")),
        }
    }

    /// The function that makes a `Creation`.
    fn creating(&self) -> TokenStream {
        let Self { kind, constructor: Function { path, visibility, documents, conditions, parameters, .. }, .. } = self;
        let (taken, given) = (body::taken(parameters), body::given(parameters));
        quote! {
            impl #kind {
                #(#documents)*
                ///
                /// Makes the call of the constructor, to be given to `Client::actor`.
                #(#conditions)*
                #[allow(dead_code, clippy::too_many_arguments, clippy::used_underscore_binding)]
                #visibility fn create(#taken) -> ::quiltwork::Creation<Self> {
                    ::quiltwork::__private::creation(#path, #given)
                }
            }
        }
    }

    fn calls_name(&self) -> Ident {
        format_ident!("{}Calls", self.name.unraw())
    }

    /// What stands for its methods elsewhere.
    fn calls(&self) -> TokenStream {
        let calls = self.calls_name();
        let note = format!("The calls of a `{}` that lives in a worker.", self.name.unraw());
        let methods = self.methods.iter().map(|method| {
            let Function { name, path, visibility, documents, conditions, parameters, output, .. } = method;
            let (taken, given, value) = (body::taken(parameters), body::given(parameters), body::value(output));
            quote! {
                #(#documents)*
                ///
                /// Makes a call to be submitted.
                #(#conditions)*
                #[allow(dead_code, clippy::too_many_arguments, clippy::used_underscore_binding)]
                #[must_use = "a call does nothing until it is submitted or added to a graph"]
                #visibility fn #name(&self, #taken) -> ::quiltwork::TaskCall<#value> {
                    self.0.call(#path, #given)
                }
            }
        });
        quote! {
            #[doc = #note]
            #[derive(Clone)]
            #[allow(unnameable_types, unreachable_pub)]
            pub struct #calls(::quiltwork::Callee);

            #[allow(missing_docs)]
            impl #calls {
                #(#methods)*
            }

            impl ::core::convert::From<::quiltwork::Callee> for #calls {
                fn from(callee: ::quiltwork::Callee) -> Self {
                    Self(callee)
                }
            }
        }
    }

    /// Its methods by their paths, as its worker runs them.
    fn resident(&self) -> TokenStream {
        let (kind, calls) = (&self.kind, self.calls_name());
        let has_loop = self.methods.iter().any(|method| method.is_async);
        let methods = self.methods.iter().map(|method| {
            let (path, conditions, run) = (&method.path, &method.conditions, method.run(kind, has_loop));
            quote! { #(#conditions)* ::quiltwork::__private::Method { path: #path, run: #run } }
        });
        quote! {
            impl ::quiltwork::ActorType for #kind {
                type Calls = #calls;
                const METHODS: &'static [::quiltwork::__private::Method<Self>] = &[#(#methods),*];
            }
        }
    }

    /// The entry by which workers find it.
    fn entry(&self) -> TokenStream {
        let Self { kind, constructor, methods, .. } = self;
        let Function { path, conditions, parameters, output, .. } = constructor;
        let (read, locals) = body::read(parameters);
        let called = constructor.waited(quote! { <#kind>::new(#(#locals),*) });
        let ended = body::ended(&called, output, &quote! { made });
        let signatures = std::iter::once(constructor).chain(methods).map(Function::written);
        let signature = signatures.collect::<Vec<_>>().join("; ");
        quote! {
            #(#conditions)*
            ::quiltwork::__private::inventory::submit! {
                ::quiltwork::__private::ActorEntry {
                    name: #path,
                    signature: #signature,
                    construct: |arguments| {
                        #[allow(clippy::unnecessary_wraps)]
                        fn made(
                            object: #kind,
                        ) -> ::core::result::Result<
                            ::std::boxed::Box<dyn ::quiltwork::__private::Instance>,
                            ::quiltwork::__private::TaskError,
                        > {
                            ::core::result::Result::Ok(::quiltwork::__private::Resident::new(object))
                        }
                        #read
                        #ended
                    },
                }
            }
        }
    }
}

impl Function {
    fn of(function: &ImplItemFn, class: &Ident, kind: &Type, receiver: Option<&Receiver>) -> syn::Result<Self> {
        let is_exclusive = receiver.map(exclusive).transpose()?.unwrap_or_default();
        let what = if receiver.is_some() { "a method of an actor" } else { "the constructor of an actor" };
        let mut signature = function.sig.clone();
        signature.inputs = signature.inputs.into_iter().filter(|input| matches!(input, FnArg::Typed(_))).collect();
        let mut parameters = signature::parameters(&signature, what)?;
        for parameter in &mut parameters {
            *parameter.kind = named(&parameter.kind, kind);
        }
        let output = named(&body::output(&signature.output), kind);
        let (name, text) = (signature.ident.clone(), signature.ident.unraw().to_string());
        let class = class.unraw().to_string();
        let of_kind = |kind: &str| {
            let attributes = function.attrs.iter().filter(|attribute| attribute.path().is_ident(kind));
            attributes.cloned().collect::<Vec<_>>()
        };
        Ok(Self {
            path: quote! { ::core::concat!(::core::module_path!(), "::", #class, "::", #text) },
            name,
            visibility: function.vis.clone(),
            documents: of_kind("doc"),
            conditions: of_kind("cfg"),
            parameters,
            output,
            is_async: signature.asyncness.is_some(),
            is_exclusive,
        })
    }

    /// How a worker runs the method, of a type that has an event loop or not.
    fn run(&self, kind: &Type, has_loop: bool) -> TokenStream {
        let name = &self.name;
        let (read, locals) = body::read(&self.parameters);
        let called = quote! { <#kind>::#name(object, #(#locals),*) };
        let ended = |called: &TokenStream| body::ended(called, &self.output, &body::finish(&self.output));
        let (now, later) = (ended(&called), ended(&quote! { #called.await }));
        match (self.is_async, self.is_exclusive) {
            (false, true) => quote! { ::quiltwork::__private::Run::Exclusive(|object, arguments| { #read #now }) },
            (false, false) if has_loop => {
                quote! { ::quiltwork::__private::Run::Inline(|object, arguments| { #read #now }) }
            }
            (false, false) => quote! {
                ::quiltwork::__private::Run::shared(|object, call| {
                    ::quiltwork::__private::job(object, call, |object, arguments| { #read #now })
                })
            },
            (true, false) => quote! {
                ::quiltwork::__private::Run::Async(|object, mut arguments| ::std::boxed::Box::pin(async move {
                    let (object, arguments) = (&*object, &mut arguments);
                    #read
                    #later
                }))
            },
            (true, true) => quote! {
                ::quiltwork::__private::Run::AsyncExclusive(|object, mut arguments| ::std::boxed::Box::pin(async move {
                    let arguments = &mut arguments;
                    #read
                    #later
                }))
            },
        }
    }

    /// What a call of it evaluates to, after its end if it is async.
    fn waited(&self, called: TokenStream) -> TokenStream {
        if self.is_async {
            quote! { ::quiltwork::__private::block_on(#called) }
        } else {
            called
        }
    }

    fn written(&self) -> String {
        format!("{}: {}", self.name.unraw(), body::written(&self.parameters, &self.output))
    }
}

/// The name of the type, and the type; refuses blocks that are not of one plain type.
fn type_of(block: &ItemImpl) -> syn::Result<(Ident, Type)> {
    if let Some((of, _)) = &block.trait_ {
        let hint = "put the attribute above the `impl` block of the type itself";
        return Err(Error::new_spanned(
            of,
            format!("an actor is called by its own methods, not by those of a trait\nhint: {hint}"),
        ));
    }
    if !block.generics.params.is_empty() {
        let message = "an actor cannot be generic: workers find it by its name alone\n\
            hint: write one for each type, and let them hold a generic one";
        return Err(Error::new_spanned(&block.generics.params, message));
    }
    match &*block.self_ty {
        Type::Path(path) if path.qself.is_none() => {
            let last = path.path.segments.last().filter(|segment| segment.arguments.is_empty());
            last.map(|segment| (segment.ident.clone(), (*block.self_ty).clone())).ok_or_else(|| {
                let message = "an actor cannot be generic: workers find it by its name alone\n\
                    hint: wrap it in a type of its own";
                Error::new_spanned(path, message)
            })
        }
        other => Err(Error::new_spanned(other, "an actor is a struct or an enum of this crate")),
    }
}

/// Whether the receiver is `&mut self`; refuses all but that and `&self`.
fn exclusive(receiver: &Receiver) -> syn::Result<bool> {
    let text = receiver.to_token_stream().to_string();
    match text.split_whitespace().collect::<String>().as_str() {
        "&self" => Ok(false),
        "&mutself" => Ok(true),
        _ => Err(Error::new_spanned(
            receiver,
            "a method of an actor takes `&self` or `&mut self`: the actor lives on after the call\n\
             hint: put other methods into an `impl` block of their own, without the attribute",
        )),
    }
}

/// The same type where `Self` means something else.
fn named(kind: &Type, class: &Type) -> Type {
    let class = class.to_token_stream();
    let replaced = replace_self(kind.to_token_stream(), &class);
    syn::parse2(replaced).unwrap_or_else(|_| kind.clone())
}

fn replace_self(tokens: TokenStream, class: &TokenStream) -> TokenStream {
    let replace = |token: TokenTree| match token {
        TokenTree::Ident(ident) if ident == "Self" => class.clone(),
        TokenTree::Group(group) => {
            let mut replaced = Group::new(group.delimiter(), replace_self(group.stream(), class));
            replaced.set_span(group.span());
            TokenTree::Group(replaced).into()
        }
        other => other.into(),
    };
    tokens.into_iter().flat_map(replace).collect()
}
