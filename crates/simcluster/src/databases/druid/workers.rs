//! A middleManager's API.

use serde_json::{Value, json};

use super::{host, tasks};
use crate::databases::asker::Asked;
use crate::databases::http::{Question, Reply};
use crate::databases::member::Deed;

pub(super) fn answer(asked: &Asked, path: &str, question: &Question) -> Option<Reply> {
    let named = |value: Value| {
        let host = host(asked, &asked.me);
        json!({ host: value })
    };
    match (path.strip_prefix("/druid/worker/v1/")?, question.posts) {
        ("enabled", false) => Some(Reply::json(&named(json!(asked.me.disabled.is_none())))),
        ("tasks", false) => {
            let ids: Vec<String> = tasks(asked, &asked.me).into_iter().map(|task| task.id).collect();
            Some(Reply::json(&json!(ids)))
        }
        ("disable", true) => {
            Some(Reply { deed: Some(Deed::Disable), ..Reply::json(&named(json!("disabled"))) })
        }
        ("enable", true) => Some(Reply { deed: Some(Deed::Enable), ..Reply::json(&named(json!("enabled"))) }),
        _ => None,
    }
}
