//! Tables of the configuration, from the doc comments of the structs that serde reads and the defaults of the program.
//!
//! Knows the layout of doc comments: what a key means, and `Default VALUE`, which has to be the default of the program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use syn::{
    Attribute, Expr, ExprLit, Fields, GenericArgument, Item, ItemStruct, Lit, Meta, PathArguments, Type, Visibility,
};
use toml::Value;

/// Makes the page from the sources in a directory and the defaults.
pub(super) fn page(sources: &Path, defaults: &toml::Table) -> String {
    let mut structs = BTreeMap::new();
    collect(sources, &mut structs);
    let mut tables = Tables { structs, page: String::new() };
    tables.write("HerdConfig", "", "", Some(&Value::Table(defaults.clone())));
    tables.page
}

/// Reads the structs of all files below a directory that serde reads as a table.
fn collect(directory: &Path, structs: &mut BTreeMap<String, ItemStruct>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, structs);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            if !text.contains("deny_unknown_fields") && !text.contains("serde(transparent)") {
                continue;
            }
            let items = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())).items;
            structs.extend(items.into_iter().filter_map(|item| match item {
                Item::Struct(table) if is_table(&table.attrs) => Some((table.ident.to_string(), table)),
                _ => None,
            }));
        }
    }
}

fn is_table(attributes: &[Attribute]) -> bool {
    attributes.iter().filter_map(|attribute| attribute.meta.require_list().ok()).any(|list| {
        let options = list.tokens.to_string();
        list.path.is_ident("serde") && (options.contains("deny_unknown_fields") || options.contains("transparent"))
    })
}

struct Tables {
    structs: BTreeMap<String, ItemStruct>,
    page: String,
}

impl Tables {
    /// Writes the section of a table, and then those of the tables in it. `about` is what the table above says of it.
    fn write(&mut self, name: &str, path: &str, about: &str, defaults: Option<&Value>) {
        let table = self.structs[name].clone();
        let heading = if path.is_empty() { "Keys outside of a table".into() } else { format!("`[{path}]`") };
        let own = match path {
            "" => String::new(),
            _ => own_words(&docs(&table.attrs)),
        };
        let _ = write!(self.page, "\n## {heading}\n");
        // A struct may say the same of itself, and more.
        let about =
            Some(about.trim()).filter(|about| !own.starts_with(about.trim_end_matches('.'))).unwrap_or_default();
        for text in [about, &own].into_iter().filter(|text| !text.is_empty()) {
            let _ = write!(self.page, "\n{text}\n");
        }
        let Fields::Named(fields) = &table.fields else { panic!("{name} is no table") };
        let (mut rows, mut inner) = (String::new(), Vec::new());
        // A field that is not public holds no value of the configuration.
        for field in fields.named.iter().filter(|field| matches!(field.vis, Visibility::Public(_))) {
            let key = field.ident.as_ref().unwrap().to_string();
            let default = defaults.and_then(|defaults| defaults.get(&key));
            let text = docs(&field.attrs);
            match self.table_of(&field.ty) {
                Some((table, below, of_all)) => {
                    let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                    // Of tables that an operator names, the program has no default that is worth a column.
                    let default = default.filter(|_| below.is_empty()).cloned();
                    inner.push((table, format!("{path}{below}"), format!("{text}\n\n{of_all}"), default));
                }
                None => rows += &row(path, &key, &text, default),
            }
        }
        if !rows.is_empty() {
            let _ = write!(self.page, "\n| key | default | meaning |\n| --- | --- | --- |\n{rows}");
        }
        for (table, path, about, default) in inner {
            self.write(&table, &path, &about, default.as_ref());
        }
    }

    /// Returns the struct of a type that is a table, `.NAME` if it is one for each name that an operator chooses, and what is said of all
    /// of these.
    fn table_of(&self, of: &Type) -> Option<(String, &'static str, String)> {
        let (name, arguments) = split(of)?;
        match &*name {
            "Option" => self.table_of(arguments.first()?),
            "BTreeMap" => self.table_of(arguments.get(1)?).map(|(table, _, of_all)| (table, ".NAME", of_all)),
            _ => {
                let table = self.structs.get(&name)?;
                match &table.fields {
                    Fields::Unnamed(fields) => {
                        let (inner, below, _) = self.table_of(&fields.unnamed.first()?.ty)?;
                        Some((inner, below, own_words(&docs(&table.attrs))))
                    }
                    _ => Some((name, "", String::new())),
                }
            }
        }
    }
}

fn row(path: &str, key: &str, text: &str, default: Option<&Value>) -> String {
    let shown = default.map(|value| format!("`{value}`").replace('|', "\\|")).unwrap_or_default();
    let text = text.replace('\n', " ").replace('|', "\\|");
    format!("| `{key}` | {shown} | {} |\n", without_default(&text, default, &format!("{path}.{key}")))
}

/// Returns the meaning of a key without a sentence that only repeats its default.
///
/// # Panics
///
/// If the text and the program have different defaults.
#[track_caller]
fn without_default(text: &str, default: Option<&Value>, key: &str) -> String {
    let (Some((before, rest)), Some(value)) =
        (text.split_once("Default ").or_else(|| text.split_once("Default: ")), default)
    else {
        return text.into();
    };
    let end = rest.find([' ', ';', ':']).map_or(rest.len(), |end| end).min(rest.find(". ").unwrap_or(rest.len()));
    let said = rest[..end].trim_end_matches(['.', ',']);
    let is_value = said.starts_with(['`', '"'])
        || said.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
        || matches!(said, "true" | "false");
    if !is_value {
        return text.into();
    }
    // A share is a number in TOML, and a percentage in words.
    let plain = |text: &str| text.replace(['`', '"', ',', '_', '%'], "");
    assert_eq!(
        plain(said),
        plain(&value.to_string()),
        "the documentation and the program differ on the default of {key}"
    );
    // A sentence that goes on says more than the value.
    match rest[said.len()..].strip_prefix('.') {
        Some(after) => format!("{}{}", before.trim_end(), after).trim().into(),
        None => text.into(),
    }
}

/// Returns what the documentation of a struct says beyond that it is this table and does not change.
fn own_words(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.starts_with("```"));
    let is_own = |sentence: &&str| !IN_GENERAL.iter().any(|general| sentence.starts_with(general));
    let of_paragraph = |paragraph: &str| match paragraph.starts_with('|') {
        true => paragraph.to_string(),
        false => {
            paragraph.replace('\n', " ").split_inclusive(". ").filter(is_own).collect::<String>().trim().to_string()
        }
    };
    let own: Vec<String> = paragraphs.map(of_paragraph).filter(|paragraph| !paragraph.is_empty()).collect();
    own.join("\n\n")
}

/// Beginnings of sentences that the page says once, or by its headings.
const IN_GENERAL: [&str; 12] = [
    "Table `[",
    "One table `[",
    "The `[",
    "Configuration of the audit logs, the section",
    "None of it changes while",
    "Its values do not change while",
    "Read at the start",
    "No field may change while",
    "Empty, which is the default",
    "Records: limits, durability",
    "The durability of the",
    "It does not change while",
];

/// Returns the text of doc comments, line by line.
fn docs(attributes: &[Attribute]) -> String {
    let lines =
        attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.value().trim().to_string(),
                _ => panic!("a doc comment is a string"),
            },
            _ => String::new(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the name of a type and its type arguments.
fn split(of: &Type) -> Option<(String, Vec<Type>)> {
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last()?;
    let arguments = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().collect(),
        _ => Vec::new(),
    };
    let types = arguments.into_iter().filter_map(|argument| match argument {
        GenericArgument::Type(of) => Some(of.clone()),
        _ => None,
    });
    Some((last.ident.to_string(), types.collect()))
}
