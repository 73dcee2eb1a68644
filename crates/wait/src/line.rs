//! The order in which those who wait are served.

/// A bounded first-come-first-served line that anybody may leave at any time.
///
/// A linked list over a slab: joining, leaving from the middle and serving the
/// front each take a constant time, and nothing is allocated per waiter once
/// the slab has grown to the longest line there was.
///
/// Whoever is served leaves the order at once, but the entry stays until
/// [`remove`](Self::remove) collects it: a future that is woken finds there
/// what it was given, and a future that is dropped finds there what it must
/// hand on.
///
/// It holds no lock: put it behind one, beside whatever it guards.
///
/// # Example
///
/// ```
/// use plimsoll_wait::Line;
///
/// let mut line = Line::new(2);
/// let (ann, bob) = (line.join("Ann").unwrap(), line.join("Bob").unwrap());
/// assert_eq!(line.join("Cyd"), Err("Cyd"), "two may wait");
///
/// assert_eq!(line.serve(), Some(ann));
/// assert_eq!((line.len(), line.front()), (1, Some(bob)));
/// assert_eq!(line.remove(ann), Some("Ann"));
/// ```
#[derive(Debug)]
pub struct Line<T> {
    slots: Vec<Slot<T>>,
    /// The first free slot; each free slot names the next in `after`.
    free: u32,
    head: u32,
    tail: u32,
    waiting: usize,
    /// Slots in use: those who wait and those served but not yet collected.
    kept: usize,
    bound: usize,
}

#[derive(Debug)]
struct Slot<T> {
    entry: Option<T>,
    /// Counts the tenants, so that the spot of an earlier one finds nothing.
    tenant: u32,
    in_order: bool,
    before: u32,
    after: u32,
}

/// Where somebody stands in a [`Line`]. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spot {
    slot: u32,
    tenant: u32,
}

/// No slot.
const NONE: u32 = u32::MAX;

impl<T> Line<T> {
    /// An empty line in which at most `bound` may wait at once.
    #[must_use]
    pub const fn new(bound: usize) -> Self {
        let bound = if bound < NONE as usize { bound } else { NONE as usize };
        Self { slots: Vec::new(), free: NONE, head: NONE, tail: NONE, waiting: 0, kept: 0, bound }
    }

    /// How many wait: joined, and neither served nor gone.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Whether nobody waits and everybody served has been collected.
    #[must_use]
    pub fn is_deserted(&self) -> bool {
        self.kept == 0
    }

    /// Whether nobody else may join.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting >= self.bound
    }

    /// Joins at the end.
    ///
    /// # Errors
    ///
    /// Hands `entry` back when the line is full.
    #[inline]
    pub fn join(&mut self, entry: T) -> Result<Spot, T> {
        if self.is_full() {
            return Err(entry);
        }
        let slot = match self.free {
            NONE => {
                // Those served and not collected may be more than the bound.
                let Ok(slot) = u32::try_from(self.slots.len()) else { return Err(entry) };
                if slot == NONE {
                    return Err(entry);
                }
                self.slots.push(Slot {
                    entry: None,
                    tenant: 0,
                    in_order: false,
                    before: NONE,
                    after: NONE,
                });
                slot
            }
            slot => {
                self.free = self.slots[slot as usize].after;
                slot
            }
        };
        let tail = std::mem::replace(&mut self.tail, slot);
        match tail {
            NONE => self.head = slot,
            tail => self.slots[tail as usize].after = slot,
        }
        let taken = &mut self.slots[slot as usize];
        taken.entry = Some(entry);
        taken.in_order = true;
        (taken.before, taken.after) = (tail, NONE);
        self.waiting += 1;
        self.kept += 1;
        Ok(Spot { slot, tenant: taken.tenant })
    }

    /// Who is next.
    #[must_use]
    pub fn front(&self) -> Option<Spot> {
        self.spot(self.head)
    }

    /// Who joined last of those who wait.
    #[must_use]
    pub fn back(&self) -> Option<Spot> {
        self.spot(self.tail)
    }

    /// Who waits right behind `spot`; `None` at the end, or if `spot` does not
    /// wait.
    #[must_use]
    pub fn behind(&self, spot: Spot) -> Option<Spot> {
        let slot = self.slot(spot).filter(|slot| slot.in_order)?;
        self.spot(slot.after)
    }

    /// What stands at `spot`, waiting or served.
    #[must_use]
    pub fn get(&self, spot: Spot) -> Option<&T> {
        self.slot(spot)?.entry.as_ref()
    }

    /// What stands at `spot`, waiting or served.
    pub fn get_mut(&mut self, spot: Spot) -> Option<&mut T> {
        let slot = self.slots.get_mut(spot.slot as usize)?;
        if slot.tenant == spot.tenant { slot.entry.as_mut() } else { None }
    }

    /// Whether `spot` still waits.
    #[must_use]
    pub fn is_waiting(&self, spot: Spot) -> bool {
        self.slot(spot).is_some_and(|slot| slot.in_order)
    }

    /// Takes the front out of the order and leaves its entry to be collected.
    pub fn serve(&mut self) -> Option<Spot> {
        let front = self.front()?;
        self.dismiss(front);
        Some(front)
    }

    /// Takes `spot` out of the order, wherever it stands, and leaves its entry
    /// to be collected. Does nothing if it does not wait.
    pub fn dismiss(&mut self, spot: Spot) {
        if self.is_waiting(spot) {
            self.unlink(spot.slot);
        }
    }

    /// Takes the entry at `spot` out, whether it waits or was served.
    #[inline]
    pub fn remove(&mut self, spot: Spot) -> Option<T> {
        let slot = self.slots.get_mut(spot.slot as usize)?;
        if slot.tenant != spot.tenant {
            return None;
        }
        let entry = slot.entry.take()?;
        slot.tenant = slot.tenant.wrapping_add(1);
        if slot.in_order {
            self.unlink(spot.slot);
        }
        self.slots[spot.slot as usize].after = self.free;
        self.free = spot.slot;
        self.kept -= 1;
        Some(entry)
    }

    /// Everybody who waits, from the front.
    pub fn iter(&self) -> impl Iterator<Item = (Spot, &T)> {
        std::iter::successors(self.front(), |&spot| self.behind(spot))
            .filter_map(|spot| Some((spot, self.get(spot)?)))
    }

    fn unlink(&mut self, slot: u32) {
        let leaving = &mut self.slots[slot as usize];
        leaving.in_order = false;
        let (before, after) = (leaving.before, leaving.after);
        match before {
            NONE => self.head = after,
            before => self.slots[before as usize].after = after,
        }
        match after {
            NONE => self.tail = before,
            after => self.slots[after as usize].before = before,
        }
        self.waiting -= 1;
    }

    fn slot(&self, spot: Spot) -> Option<&Slot<T>> {
        self.slots.get(spot.slot as usize).filter(|slot| slot.tenant == spot.tenant)
    }

    fn spot(&self, slot: u32) -> Option<Spot> {
        self.slots.get(slot as usize).map(|taken| Spot { slot, tenant: taken.tenant })
    }
}
