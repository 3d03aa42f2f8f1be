//! A row of the table: a kubeconfig, and who has asked the server because of it.

/// Where there is no credential, kubectl asks for a user name at the terminal, and finds none here.
pub const ASKS: &str =
    "without a credential kubectl asks for a user name; we let the server say what it accepts";

/// No request has arrived.
pub const REFUSED: &str = "refused";

pub struct Row {
    pub name: &'static str,
    /// The files of `KUBECONFIG`, in its order.
    pub kubeconfigs: Vec<(String, String)>,
    pub environment: Vec<(&'static str, &'static str)>,
    /// Flags that both know.
    pub flags: Vec<&'static str>,
    /// Who has asked because of us.
    pub ours: &'static str,
    /// Who has asked because of kubectl, where that differs on purpose, and the purpose.
    pub differs: Option<(&'static str, &'static str)>,
}

impl Row {
    /// Kubectl does otherwise, on purpose.
    pub fn but_kubectl(mut self, theirs: &'static str, why: &'static str) -> Self {
        self.differs = Some((theirs, why));
        self
    }

    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    pub fn flag(mut self, flag: &'static str) -> Self {
        self.flags.push(flag);
        self
    }

    /// Another file of `KUBECONFIG`, behind the others.
    pub fn and(mut self, file: &str, text: &str) -> Self {
        self.kubeconfigs.push((file.to_owned(), text.to_owned()));
        self
    }
}

/// One kubeconfig with this text.
pub fn document(name: &'static str, text: &str, ours: &'static str) -> Row {
    Row {
        name,
        kubeconfigs: vec![("config".to_owned(), text.to_owned())],
        environment: Vec::new(),
        flags: Vec::new(),
        ours,
        differs: None,
    }
}

/// The kubeconfig with these fields of its cluster and its user.
pub fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: ann}}}}]
clusters: [{{name: c, cluster: {{{cluster}}}}}]
users: [{{name: ann, user: {{{user}}}}}]
"
    )
}

/// The server that the table asks, verified.
pub const CLUSTER: &str = "server: 'https://{server}', certificate-authority-data: {ca}";

/// This user, on the server.
pub fn user(name: &'static str, fields: &str, ours: &'static str) -> Row {
    document(name, &kubeconfig(CLUSTER, fields), ours)
}

/// A user with a token, on this cluster.
pub fn cluster(name: &'static str, fields: &str, ours: &'static str) -> Row {
    document(name, &kubeconfig(fields, "token: t"), ours)
}
