//! Who receives what is published to a topic: pure data, one table per JavaScript thread and I/O thread.
//!
//! Topics and connections are small integers. Each membership knows its place in both lists, so joining, leaving and
//! vanishing cost the same in a topic of ten and of ten thousand.

/// The table.
#[derive(Debug, Default)]
pub struct Topics {
    /// By topic: its members.
    topics: Vec<Vec<Member>>,
    /// By slot: its topics.
    slots: Vec<Vec<Membership>>,
}

/// A topic's entry for one of its members.
#[derive(Clone, Copy, Debug)]
struct Member {
    slot: u32,
    /// Where the slot lists this topic.
    at: u32,
}

/// A slot's entry for one of its topics.
#[derive(Clone, Copy, Debug)]
struct Membership {
    topic: u32,
    /// Where the topic lists this slot.
    at: u32,
}

impl Topics {
    /// Makes `slot` a member. Does nothing if it is one.
    pub fn subscribe(&mut self, slot: u32, topic: u32) {
        grow(&mut self.topics, topic);
        grow(&mut self.slots, slot);
        let (members, memberships) = (
            &mut self.topics[topic as usize],
            &mut self.slots[slot as usize],
        );
        // A connection has few topics, a topic many connections: look on the short side.
        if memberships.iter().any(|m| m.topic == topic) {
            return;
        }
        memberships.push(Membership {
            topic,
            at: members.len() as u32,
        });
        members.push(Member {
            slot,
            at: memberships.len() as u32 - 1,
        });
    }

    /// Ends the membership, if there is one.
    pub fn unsubscribe(&mut self, slot: u32, topic: u32) {
        let Some(memberships) = self.slots.get(slot as usize) else {
            return;
        };
        if let Some(at) = memberships.iter().position(|m| m.topic == topic) {
            self.remove(slot, at);
        }
    }

    /// Ends all memberships of a connection.
    pub fn remove_all(&mut self, slot: u32) {
        let Some(memberships) = self.slots.get(slot as usize) else {
            return;
        };
        for at in (0..memberships.len()).rev() {
            self.remove(slot, at);
        }
        self.slots[slot as usize] = Vec::new();
    }

    /// The members, in no particular order.
    pub fn members(&self, topic: u32) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.topics
            .get(topic as usize)
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .map(|m| m.slot)
    }

    fn remove(&mut self, slot: u32, at: usize) {
        let gone = self.slots[slot as usize].swap_remove(at);
        if let Some(moved) = self.slots[slot as usize].get(at).copied() {
            self.topics[moved.topic as usize][moved.at as usize].at = at as u32;
        }
        let members = &mut self.topics[gone.topic as usize];
        members.swap_remove(gone.at as usize);
        if let Some(moved) = members.get(gone.at as usize).copied() {
            self.slots[moved.slot as usize][moved.at as usize].at = gone.at;
        }
        if members.is_empty() {
            *members = Vec::new();
        }
    }
}

fn grow<T: Default>(list: &mut Vec<T>, index: u32) {
    if list.len() <= index as usize {
        list.resize_with(index as usize + 1, T::default);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn agrees_with_sets(operations in prop::collection::vec((0..4u8, 0..6u32, 0..5u32), 0..200)) {
            let mut topics = Topics::default();
            let mut model: BTreeSet<(u32, u32)> = BTreeSet::new();
            for (operation, slot, topic) in operations {
                match operation {
                    0 | 1 => { topics.subscribe(slot, topic); model.insert((topic, slot)); }
                    2 => { topics.unsubscribe(slot, topic); model.remove(&(topic, slot)); }
                    _ => { topics.remove_all(slot); model.retain(|(_, s)| *s != slot); }
                }
                for topic in 0..5 {
                    let mut members: Vec<u32> = topics.members(topic).collect();
                    members.sort_unstable();
                    let expected: Vec<u32> = model.iter().filter(|(t, _)| *t == topic).map(|(_, s)| *s).collect();
                    prop_assert_eq!(members, expected);
                }
            }
        }
    }

    #[test]
    fn unknown_topics_and_slots_are_empty() {
        let mut topics = Topics::default();
        topics.unsubscribe(7, 7);
        topics.remove_all(7);
        assert_eq!(topics.members(7).len(), 0);
    }
}
