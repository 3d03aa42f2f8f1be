//! The words in which an API server refuses a request, where its code does not tell enough.

/// What an admission plugin of the API server says with a 403 while it is starting (`WaitForReady` of apiserver's
/// admission initializer).
pub const NOT_READY: &str = "not yet ready to handle request";

/// Whether admission has rejected the request in words of its own: a webhook (`ToStatusErr` of apiserver's webhook admission), or
/// a MutatingAdmissionPolicy, which rejects what it fails for. Everything else that rejects says `is forbidden`.
pub fn refused_by_admission(message: &str) -> bool {
    let webhook = message.starts_with("admission webhook \"") && message.contains("\" denied the request");
    webhook || message.starts_with("policy '") && message.contains(" denied request: ")
}

/// What follows `pods "x" is forbidden: `: the words of the authorizer, or of the admission plugin that has rejected the
/// request. Names of resources and objects cannot contain these words.
pub fn why_forbidden(message: &str) -> Option<&str> {
    message.split_once(" is forbidden: ").map(|(_, why)| why)
}
