//! What the hub says of models, by a server that answers as it does.

use std::collections::BTreeMap;

use merge_search::hub::{Hub, HubError};
use merge_search::recipe::ModelRef;
use merge_search::rules::Verdict;
use merge_search::rules::models::{Evidence, check, facts};
use serde_json::json;

use super::place::{COMMIT, OTHER, Place, broken, one, profile};
use crate::hub::server::{ID, Server};

fn served() -> Server {
    let server = Server::start(COMMIT, BTreeMap::new());
    server.with(|state| {
        state.page = json!({
            "gated": false,
            "cardData": {"license": "mit"},
            "safetensors": {"parameters": {"BF16": 7_000_000_000_u64}, "total": 7_000_000_000_u64},
            "config": {"model_type": "llama", "architectures": ["LlamaForCausalLM"]},
        });
        state.days.insert(COMMIT.to_owned(), "2024-04-18T23:59:59.000Z".to_owned());
    });
    server
}

fn online(place: &Place, server: &Server) -> Hub {
    Hub { endpoint: Some(server.endpoint.clone()), offline: false, ..place.hub() }
}

fn model(revision: &str) -> ModelRef {
    ModelRef::new(format!("{ID}@{revision}")).unwrap()
}

#[test]
fn the_hub_tells_what_no_file_does_and_nothing_is_downloaded() {
    let (place, server) = (Place::new(), served());
    let known = facts(&model(COMMIT), "base", &online(&place, &server), &Evidence::default());
    let found = check(&[known], &profile("merging-2024"));
    assert_eq!(broken(&found), [], "{found:#?}");
    assert!(one(&found, "uploaded_before").evidence.contains("2024-04-18"));
    assert!(one(&found, "size").evidence.contains("7,000,000,000"));
    assert!(one(&found, "public").evidence.contains("gated"));
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.starts_with("/api/models/")), "{requests:?}");
    assert!(!place.dir.path().join("hub").exists());
}

#[test]
fn gated_pages_say_how_access_is_granted() {
    let (place, server) = (Place::new(), served());
    server.with(|state| state.page["gated"] = json!("manual"));
    let known = facts(&model(COMMIT), "base", &online(&place, &server), &Evidence::default());
    let found = check(&[known], &profile("merging-2024"));
    assert_eq!(broken(&found), [("public", Verdict::Warn)]);
}

#[test]
fn a_revision_that_the_hub_does_not_have_fails() {
    let (place, server) = (Place::new(), served());
    let known = facts(&model(OTHER), "base", &online(&place, &server), &Evidence::default());
    let found = check(&[known], &profile("merging-2024"));
    assert_eq!(one(&found, "revision").verdict, Verdict::Fail);
    assert!(one(&found, "revision").evidence.contains(OTHER), "{found:#?}");
    assert_eq!(one(&found, "size").verdict, Verdict::Unknown);
}

#[test]
fn a_hub_that_does_not_answer_leaves_facts_unknown() {
    let (place, server) = (Place::new(), served());
    server.with(|state| state.status = Some(("/api/", 503)));
    let hub = online(&place, &server);
    let known = facts(&model(COMMIT), "base", &hub, &Evidence::default());
    let found = check(&[known], &profile("merging-2024"));
    let open = broken(&found);
    assert!(
        open.len() >= 4 && open.iter().all(|(_, verdict)| *verdict == Verdict::Unknown),
        "{found:#?}"
    );
    assert!(one(&found, "size").evidence.contains("503"), "{found:#?}");
    server.with(|state| state.status = Some(("/api/", 401)));
    assert!(matches!(hub.describe(ID, Some(COMMIT)), Err(HubError::Refused { .. })));
}

#[test]
fn offline_the_hub_is_not_asked() {
    let (place, server) = (Place::new(), served());
    let hub = Hub { offline: true, ..online(&place, &server) };
    let known = facts(&model(COMMIT), "base", &hub, &Evidence::default());
    let found = check(&[known], &profile("merging-2024"));
    assert_eq!(one(&found, "uploaded_before").verdict, Verdict::Unknown);
    assert_eq!(server.requests(), [""; 0]);
}
