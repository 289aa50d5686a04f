//! What the signature of a task or a pipeline may look like; all else is refused where it stands, with what to write
//! instead.
use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Error, FnArg, Ident, Pat, ReturnType, Safety, Signature, Type};

/// One parameter.
pub(crate) struct Parameter {
    pub(crate) name: Ident,
    pub(crate) kind: Box<Type>,
}

/// Checks the whole signature of `what` and lists its parameters; all mistakes are reported together.
pub(crate) fn parameters(signature: &Signature, what: &'static str) -> syn::Result<Vec<Parameter>> {
    let mut mistakes = Mistakes { what, error: None };
    check_qualifiers(signature, &mut mistakes);
    let parameters = signature.inputs.iter().filter_map(|input| parameter(input, &mut mistakes)).collect();
    if let ReturnType::Type(_, output) = &signature.output {
        check_type(output, &format!("the result of {what}"), &mut mistakes);
    }
    match mistakes.error {
        Some(error) => Err(error),
        None => Ok(parameters),
    }
}

/// Whether the type is written as a path ending in `Result`.
pub(crate) fn is_result(output: &Type) -> bool {
    match output {
        Type::Path(path) => path.path.segments.last().is_some_and(|segment| segment.ident == "Result"),
        Type::Group(group) => is_result(&group.elem),
        Type::Paren(paren) => is_result(&paren.elem),
        _ => false,
    }
}

/// A type as people write it, without the blanks between tokens.
pub(crate) fn text(tokens: &impl ToTokens) -> String {
    let mut text = String::new();
    for word in tokens.to_token_stream().to_string().split_whitespace() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if text.ends_with(is_word) && word.starts_with(is_word) || text.ends_with(',') {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

struct Mistakes {
    /// What the signature is of.
    what: &'static str,
    error: Option<Error>,
}

impl Mistakes {
    /// Adds `message`, which goes on after the name of what the signature is of.
    fn add_own(&mut self, place: impl ToTokens, message: &str) {
        self.add(place, format!("{} {message}", self.what));
    }

    fn add(&mut self, place: impl ToTokens, message: impl std::fmt::Display) {
        let error = Error::new_spanned(place, message);
        match &mut self.error {
            Some(all) => all.combine(error),
            None => self.error = Some(error),
        }
    }
}

fn check_qualifiers(signature: &Signature, mistakes: &mut Mistakes) {
    if !signature.generics.params.is_empty() {
        mistakes.add_own(
            &signature.generics.params,
            "cannot be generic: workers find it by its name alone\n\
             hint: write one for each type, and let them call a generic function",
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        mistakes.add_own(clause, "cannot have a `where` clause");
    }
    if let Some(token) = &signature.constness {
        mistakes.add_own(token, "cannot be a `const fn`");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        mistakes.add_own(
            token,
            "cannot be an `unsafe fn`: nobody stands between it and what arrives\n\
             hint: make the function safe and put the `unsafe` block inside, with its reason",
        );
    }
    if let Some(abi) = &signature.abi {
        mistakes.add_own(abi, "cannot be an `extern fn`");
    }
    if let Some(variadic) = &signature.variadic {
        mistakes.add_own(variadic, "cannot take a varying number of arguments\nhint: take a `Vec`");
    }
}

fn parameter(input: &FnArg, mistakes: &mut Mistakes) -> Option<Parameter> {
    let typed = match input {
        FnArg::Typed(typed) => typed,
        FnArg::Receiver(receiver) => {
            mistakes.add_own(
                receiver,
                "is a free function and has no `self`\n\
                 hint: move it out of the `impl` block and take the value as a parameter",
            );
            return None;
        }
    };
    check_type(&typed.ty, &format!("{}'s parameter", mistakes.what), mistakes);
    match &*typed.pat {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {
            Some(Parameter { name: name.ident.clone(), kind: typed.ty.clone() })
        }
        pattern => {
            let message = format!(
                "{}'s parameter needs a name: it is part of error messages\n\
                 hint: take it as a whole and take it apart in the body",
                mistakes.what
            );
            mistakes.add(pattern, message);
            None
        }
    }
}

/// Refuses what cannot travel by its very form: borrowed things and `impl Trait`.
fn check_type(kind: &Type, what: &str, mistakes: &mut Mistakes) {
    if let Type::ImplTrait(_) = kind {
        mistakes.add(kind, format!("{what} must name its type: `impl Trait` hides it from the other process"));
        return;
    }
    if let Type::Reference(reference) = kind {
        let owned = owned(&reference.elem);
        mistakes.add(kind, format!("{what} cannot be a reference: it travels to another process\nhint: use `{owned}`"));
        return;
    }
    let tokens = kind.to_token_stream();
    if borrows(&tokens) {
        mistakes.add(
            kind,
            format!("{what} cannot hold a reference: it travels to another process\nhint: use a type that owns what it holds"),
        );
    } else if hides(tokens) {
        mistakes.add(kind, format!("{what} must name its type: `impl Trait` hides it from the other process"));
    }
}

/// What to take instead of a reference to `borrowed`.
fn owned(borrowed: &Type) -> String {
    match borrowed {
        Type::Slice(slice) => format!("Vec<{}>", text(&slice.elem)),
        other => match text(other).as_str() {
            "str" => "String".to_owned(),
            "Path" | "std::path::Path" => "PathBuf".to_owned(),
            other => other.to_owned(),
        },
    }
}

fn borrows(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Punct(punct) => punct.as_char() == '&' && punct.spacing() == Spacing::Alone,
        TokenTree::Group(group) => borrows(&group.stream()),
        _ => false,
    })
}

fn hides(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => hides(group.stream()),
        _ => false,
    })
}
