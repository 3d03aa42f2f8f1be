//! YAML in the place of JSON, both ways.

use serde_json::json;

use crate::client::*;

const YAML: &str = "application/yaml";

#[tokio::test(start_paused = true)]
async fn bodies_may_be_yaml() {
    let sim = cluster();
    let text = "metadata:\n  name: c\ndata:\n  k: 'yes'\n";
    let reply = send_text(&sim, "POST", CONFIGMAPS, (YAML, text), "").await;
    assert_eq!((reply.code, &reply.body["data"]), (201, &json!({"k": "yes"})));
    let apply = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: w}\n";
    let path = format!("{CONFIGMAPS}/c?fieldManager=m&force=true");
    let reply = send_text(&sim, "PATCH", &path, ("application/apply-patch+yaml", apply), "").await;
    assert_eq!((reply.code, &reply.body["data"]), (200, &json!({"k": "w"})), "{}", reply.text);
    for (kind, code) in [(YAML, 400), ("application/toml", 415)] {
        let reply = send_text(&sim, "POST", CONFIGMAPS, (kind, "metadata: [name"), "").await;
        assert_eq!(reply.code, code, "{kind}: {}", reply.text);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_are_in_the_syntax_that_is_wanted_most() {
    let sim = cluster();
    for (accept, yaml) in [
        (YAML, true),
        ("application/json;q=0.5, application/yaml", true),
        ("application/json, application/yaml", false),
        ("application/yaml;q=0.1, */*", false),
    ] {
        for (path, kind) in
            [("/api/v1/namespaces/default", "Namespace"), ("/api/v1/namespaces/none", "Status")]
        {
            let reply = get_as(&sim, path, accept).await;
            let (media_type, text) = match yaml {
                true => (YAML, format!("kind: {kind}\n")),
                false => ("application/json", format!("\"kind\":\"{kind}\"")),
            };
            assert_eq!(reply.headers["content-type"], media_type, "{accept}");
            assert!(reply.text.contains(&text), "{accept}: {}", reply.text);
        }
    }
    assert_eq!(get_as(&sim, "/api/v1/namespaces/default", "text/html").await.code, 406);
}
