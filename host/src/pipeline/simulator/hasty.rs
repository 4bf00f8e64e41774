//! Waits no time at all, and sees that nothing gets stuck.

use super::*;

pub struct Hasty {
    pub starting_up: bool,
}

#[async_trait]
impl Patience for Hasty {
    async fn window(&self) {}
    async fn backoff(&self, _: u32) {}
    fn starting_up(&self) -> bool {
        self.starting_up
    }
    fn parked(&self, why: &Parked) {
        assert!(!matches!(why, Parked::Stuck { .. }), "stuck: {why:?}");
    }
}

#[test]
fn what_does_not_answer_after_a_reboot_is_waited_for() {
    let crash = Crash { reboot: true, fence_survives: true, doubled: false, again: None };
    let stories = [story(), stories()[9].clone(), Story { carries: true, ..story() }];
    let jobs = stories.map(|story| Story { starts_slowly: true, ..story }).to_vec();
    on_all_processors(jobs, |story| cut_everywhere(&story, crash));
}
