//! Listings that fail because something on the list went away while it was made.
//!
//! Podman looks each entry up after it has listed them, and answers 500 where one is gone by then. Asked again at once,
//! it lists what is there. For a moment it shows a container in a state that Docker's API does not have, too.

use std::time::Duration;

use bollard::errors::Error as ApiError;

/// How often a listing is asked for before its failure counts.
const TIMES: u32 = 12;

/// Before the second time; it grows with each.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks for a listing, again where the engine could not make it.
pub(super) async fn asked_again<T, F>(ask: impl Fn() -> F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    for time in 1..TIMES {
        match ask().await {
            Err(
                ApiError::DockerResponseServerError { status_code: 500, .. }
                | ApiError::JsonDataError { .. }
                | ApiError::JsonSerdeError { .. },
            ) => {
                tokio::time::sleep(PAUSE * time).await;
            }
            answer => return answer,
        }
    }
    ask().await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn refusal(status_code: u16) -> ApiError {
        ApiError::DockerResponseServerError { status_code, message: "no such container".to_owned() }
    }

    #[tokio::test]
    async fn a_listing_that_failed_over_something_that_went_away_is_made_again() {
        let asked = AtomicU32::new(0);
        let third_time = || async {
            match asked.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => Err(refusal(500)),
                _ => Ok("list"),
            }
        };
        assert_eq!(asked_again(third_time).await.unwrap(), "list");
    }

    #[tokio::test]
    async fn a_list_with_a_state_that_passes_is_asked_for_again() {
        let asked = AtomicU32::new(0);
        let second_time = || async {
            match asked.fetch_add(1, Ordering::Relaxed) {
                0 => Err(serde_json::from_str::<u8>("stopped").unwrap_err().into()),
                _ => Ok("list"),
            }
        };
        assert_eq!(asked_again(second_time).await.unwrap(), "list");
    }

    #[tokio::test]
    async fn an_engine_that_cannot_list_is_not_asked_forever_and_other_refusals_are_believed() {
        for (status, times) in [(500, TIMES), (400, 1)] {
            let asked = AtomicU32::new(0);
            let never = || async {
                asked.fetch_add(1, Ordering::Relaxed);
                Err::<(), _>(refusal(status))
            };
            assert!(asked_again(never).await.is_err());
            assert_eq!(asked.load(Ordering::Relaxed), times);
        }
    }
}
