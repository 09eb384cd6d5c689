//! Events of the YAML parser into a tree, within bounds.
//!
//! The parser itself is iterative, so that depth is a matter of this tree alone. Aliases are copied, and what they copy
//! is counted before it is.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::{Content, Fault, Key, MAX_BYTES, MAX_DEPTH, MAX_KEYS, MAX_NODES, MAX_TEXT, Node, Place, Scalar};

/// Reads one document. `None` where there is nothing in it.
pub(in crate::suite) fn parse(text: &str) -> Result<Option<Node>, Fault> {
    let start = Place { line: 1, column: 1 };
    if text.len() > MAX_BYTES {
        return Err(Fault::new(
            start,
            format!("the file has {} bytes: expected at most {} MiB", text.len(), MAX_BYTES >> 20),
        ));
    }
    let mut builder = Builder::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Fault::new(place(error.marker()), error.info()))?;
        builder.take(event, place(&span.start))?;
    }
    Ok(builder.root)
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col() + 1 }
}

/// How much a node weighs against the bounds.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    text: usize,
    depth: usize,
}

/// A list or mapping that is not at its end yet.
struct Open {
    place: Place,
    anchor: usize,
    content: Content,
    /// The key whose value comes next.
    key: Option<Key>,
    /// The keys of a mapping: it may have tens of thousands.
    known: BTreeSet<String>,
    merges: Vec<Node>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    anchors: BTreeMap<usize, (Node, Weight)>,
    nodes: usize,
    text: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Fault::new(place, "a second document begins here: expected one"))
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(Weight { nodes: 1, text: text.len(), depth: 0 }, place)?;
                let is_text = is_text(tag.as_ref(), place)?;
                let plain = style == ScalarStyle::Plain && !is_text;
                let scalar = Scalar { text: text.into_owned(), plain, variables: Vec::new() };
                self.add(Node { place, content: Content::Scalar(scalar) }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Content::List(Vec::new()), anchor, tag.as_ref(), place)
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Content::Map(Vec::new()), anchor, tag.as_ref(), place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some((node, weight)) = self.anchors.get(&anchor) else {
                    return Err(Fault::new(place, "an alias within its own anchor has no end"));
                };
                let (mut node, weight) = (node.clone(), *weight);
                self.count(weight, place)?;
                node.place = place;
                self.add(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, weight: Weight, place: Place) -> Result<(), Fault> {
        if self.open.len() + weight.depth > MAX_DEPTH {
            return Err(Fault::new(
                place,
                format!("more than {MAX_DEPTH} levels of lists and mappings: expected fewer"),
            ));
        }
        self.nodes += weight.nodes;
        self.text += weight.text;
        if self.nodes > MAX_NODES || self.text > MAX_TEXT {
            let hint = "aliases and merges repeat what they name: repeat less";
            return Err(Fault::new(place, "the file says too much").hint(hint));
        }
        Ok(())
    }

    fn begin(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Cow<'_, Tag>>,
        place: Place,
    ) -> Result<(), Fault> {
        is_text(tag, place)?;
        self.count(Weight { nodes: 1, text: 0, depth: 1 }, place)?;
        self.open.push(Open {
            place,
            anchor,
            content,
            key: None,
            known: BTreeSet::new(),
            merges: Vec::new(),
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        for merged in std::mem::take(&mut open.merges) {
            Self::merge(&mut open.content, &mut open.known, merged)?;
        }
        self.add(Node { place: open.place, content: open.content }, open.anchor)
    }

    /// Adds what `content` does not have itself.
    fn merge(content: &mut Content, known: &mut BTreeSet<String>, merged: Node) -> Result<(), Fault> {
        let place = merged.place;
        let sources = match merged.content {
            Content::List(items) => items,
            Content::Map(_) => vec![merged],
            Content::Scalar(_) => {
                return Err(Fault::new(place, "expected a mapping, or a list of mappings, to merge"));
            }
        };
        let Content::Map(entries) = content else { return Ok(()) };
        for source in sources {
            let Content::Map(more) = source.content else {
                return Err(Fault::new(source.place, "expected a mapping to merge"));
            };
            for (key, node) in more {
                if known.insert(key.text.clone()) {
                    entries.push((key, node));
                }
            }
        }
        Ok(())
    }

    /// Puts a whole node where it belongs: into the list or mapping around it, or at the root.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        if anchor != 0 {
            let weight = weigh(&node);
            self.count(Weight { depth: 0, ..weight }, node.place)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let Some(open) = self.open.last_mut() else {
            // `# nothing` and `---` alone make a document of nothing.
            self.root = (!node.is_null()).then_some(node);
            return Ok(());
        };
        match (&mut open.content, open.key.take()) {
            (Content::List(items), _) => items.push(node),
            (Content::Map(_), Some(key)) if key.text == "<<" => open.merges.push(node),
            (Content::Map(entries), Some(key)) => entries.push((key, node)),
            (Content::Map(entries), None) => {
                let place = node.place;
                let Content::Scalar(scalar) = node.content else {
                    return Err(Fault::new(place, "expected a key, not a list or a mapping"));
                };
                if entries.len() >= MAX_KEYS {
                    return Err(Fault::new(place, format!("more than {MAX_KEYS} keys: expected fewer")));
                }
                // `<<` may be there more than once.
                if scalar.text != "<<" && !open.known.insert(scalar.text.clone()) {
                    return Err(Fault::new(place, format!("`{}` is there twice", scalar.text)));
                }
                open.key = Some(Key { place, text: scalar.text });
            }
            (Content::Scalar(_), _) => {}
        }
        Ok(())
    }
}

/// Whether a tag makes text of a plain scalar. Others are refused: they would mean something that nobody reads.
fn is_text(tag: Option<&Cow<'_, Tag>>, place: Place) -> Result<bool, Fault> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() => Ok(tag.suffix == "str"),
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Ok(true),
        Some(tag) => Err(Fault::new(place, format!("the tag `{tag}` means nothing here"))),
    }
}

/// Recursion ends at [`MAX_DEPTH`].
fn weigh(node: &Node) -> Weight {
    let add = |sum: Weight, child: &Node, key: usize| {
        let child = weigh(child);
        Weight {
            nodes: sum.nodes + child.nodes,
            text: sum.text + child.text + key,
            depth: sum.depth.max(child.depth + 1),
        }
    };
    let empty = Weight { nodes: 1, text: 0, depth: 0 };
    match &node.content {
        Content::Scalar(scalar) => Weight { text: scalar.text.len(), ..empty },
        Content::List(items) => {
            items.iter().fold(Weight { depth: 1, ..empty }, |sum, child| add(sum, child, 0))
        }
        Content::Map(entries) => entries
            .iter()
            .fold(Weight { depth: 1, ..empty }, |sum, (key, child)| add(sum, child, key.text.len())),
    }
}
