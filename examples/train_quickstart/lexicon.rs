//! The words of the toy language. All the text that the quickstart family ever sees is made of
//! them.

pub const NAMES: [&str; 12] =
    ["Tom", "Ann", "Sam", "Eva", "Ben", "Mia", "Leo", "Zoe", "Max", "Ida", "Jim", "Kim"];

/// A countable noun and what it does, each in singular and plural.
#[derive(Clone, Copy)]
pub struct Animal {
    pub noun: [&'static str; 2],
    pub verb: [&'static str; 2],
}

const fn animal(noun: [&'static str; 2], verb: [&'static str; 2]) -> Animal {
    Animal { noun, verb }
}

pub const ANIMALS: [Animal; 12] = [
    animal(["dog", "dogs"], ["barks", "bark"]),
    animal(["cat", "cats"], ["purrs", "purr"]),
    animal(["bird", "birds"], ["sings", "sing"]),
    animal(["horse", "horses"], ["runs", "run"]),
    animal(["frog", "frogs"], ["jumps", "jump"]),
    animal(["bee", "bees"], ["flies", "fly"]),
    animal(["lion", "lions"], ["roars", "roar"]),
    animal(["cow", "cows"], ["eats", "eat"]),
    animal(["duck", "ducks"], ["swims", "swim"]),
    animal(["wolf", "wolves"], ["howls", "howl"]),
    animal(["bear", "bears"], ["sleeps", "sleep"]),
    animal(["snake", "snakes"], ["hides", "hide"]),
];

/// Pairs of opposites.
pub const OPPOSITES: [[&str; 2]; 12] = [
    ["big", "small"],
    ["hot", "cold"],
    ["kind", "cruel"],
    ["loud", "quiet"],
    ["fast", "slow"],
    ["old", "young"],
    ["rich", "poor"],
    ["strong", "weak"],
    ["happy", "sad"],
    ["wet", "dry"],
    ["bright", "dark"],
    ["clean", "dirty"],
];

pub const PREPOSITIONS: [&str; 6] = ["near", "behind", "under", "beside", "with", "above"];

pub const OBJECTS: [&str; 10] =
    ["cups", "books", "coins", "pens", "hats", "keys", "eggs", "cards", "balls", "maps"];

/// Verb and preposition of a gain.
pub const GAINS: [[&str; 2]; 3] = [["gets", "from"], ["takes", "from"], ["buys", "from"]];
/// Verb and preposition of a loss.
pub const LOSSES: [[&str; 2]; 3] = [["gives", "to"], ["sells", "to"], ["lends", "to"]];

pub const PLACES: [&str; 4] = ["park", "house", "garden", "school"];
