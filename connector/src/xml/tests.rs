//! Tests of the XML reader: accepted and refused documents.

use super::*;

/// Returns the names and values of a document, in order.
fn walk(document: &[u8]) -> Result<String, XmlError> {
    fn into(reader: &mut Reader<'_>, output: &mut String) -> Result<(), XmlError> {
        while let Some(name) = reader.child()? {
            let local = name.local.to_owned();
            output.push_str(&format!(" {}{{{local}", name.namespace.unwrap_or_default()));
            match local.as_str() {
                "v" => output.push_str(&format!("={}", reader.text()?)),
                "skip" => reader.skip()?,
                _ => into(reader, output)?,
            }
            output.push('}');
        }
        Ok(())
    }
    let text = decode(document, 10_000_000)?;
    let mut reader = Reader::new(&text);
    let mut output = reader.root()?.local.to_owned();
    into(&mut reader, &mut output)?;
    reader.finish()?;
    Ok(output)
}

#[test]
fn joins_the_pieces_of_a_value() {
    let output = walk(
        b"<?xml version='1.0'?><!-- c --><r xmlns:n='urn:n'><?p?><n:v> J&#248;r<![CDATA[<g>]]>&amp;\
          <!-- c -->en\r\n</n:v><v/><skip>t<v/>t</skip></r> <!-- c -->\n",
    );
    assert_eq!(output.unwrap(), "r urn:n{v=J\u{f8}r<g>&en} {v=} {skip}");
}

#[test]
fn decodes_the_supported_encodings() {
    let expected = "r {v=\u{e6}}";
    let utf8 = "<r><v>\u{e6}</v></r>".as_bytes();
    assert_eq!(walk(utf8).unwrap(), expected);
    let marked = [b"\xef\xbb\xbf", utf8].concat();
    assert_eq!(walk(&marked).unwrap(), expected);
    let declared = |encoding: &str, body: &[u8]| {
        let declaration = format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>");
        walk(&[declaration.as_bytes(), body].concat())
    };
    let latin1 = b"<r><v>\xe6</v></r>";
    assert_eq!(declared("ISO-8859-1", latin1).unwrap(), expected);
    assert_eq!(declared("utf-8", utf8).unwrap(), expected);
    assert_eq!(declared("US-ASCII", b"<r><v>e</v></r>").unwrap(), "r {v=e}");
    for (encoding, body) in [
        ("US-ASCII", utf8),
        ("UTF-8", latin1),
        ("UTF-16", utf8),
        ("windows-1252", latin1),
    ] {
        assert_eq!(declared(encoding, body), Err(XmlError::Encoding));
    }
    assert_eq!(walk(latin1), Err(XmlError::Encoding));
    assert_eq!(walk(b"\xff\xfe<\0r\0/\0>\0"), Err(XmlError::Encoding));
}

#[test]
fn refuses_malformed_documents() {
    let malformed = [
        "x<r/>",
        "<r/>x",
        "<r/>&amp;",
        "<r>x<v/></r>",
        "<r><v><v/></v></r>",
        "<r></s>",
        "</r>",
        "<r/></r>",
        "<p:r/>",
        "<r p:a='1'/>",
        "<r a='1' a='2'/>",
        "<r a/>",
        "<r a='<'/>",
        "<r><v>&#0;</v></r>",
        "<r><v>&#1;</v></r>",
        "<r><v>&#xD800;</v></r>",
        "<r><v>a & b</v></r>",
        "<r>\u{1}</r>",
        "<r><?xml version='1.0'?></r>",
        " <?xml version='1.0'?><r/>",
        "<></>",
        "<r><!ELEMENT v></r>",
    ];
    for document in malformed {
        let error = walk(document.as_bytes()).unwrap_err();
        assert!(
            matches!(error, XmlError::Malformed(_)),
            "{document}: {error:?}"
        );
    }
    for document in ["", " ", "<r>", "<r><v>x", "<r", "<r a='", "<!-- ", "<?xml "] {
        assert_eq!(
            walk(document.as_bytes()),
            Err(XmlError::Truncated),
            "{document}"
        );
    }
    assert_eq!(walk(b"<r/><r/>"), Err(XmlError::SeveralRoots));
    assert_eq!(walk(b"<r><v>&b;</v></r>"), Err(XmlError::Entity));
    for document in [
        "<!DOCTYPE r><r/>",
        "<r/><!DOCTYPE r>",
        "<!DOCTYPE r [<!ENTITY",
    ] {
        assert_eq!(
            walk(document.as_bytes()),
            Err(XmlError::Doctype),
            "{document}"
        );
    }
    assert_eq!(decode(b"<r/>", 3), Err(XmlError::TooLarge(3)));
}

#[test]
fn limits_depth_attributes_and_namespaces() {
    let deep = |depth: usize| format!("{}{}", "<r>".repeat(depth), "</r>".repeat(depth));
    assert!(walk(deep(MAX_DEPTH).as_bytes()).is_ok());
    assert_eq!(
        walk(deep(MAX_DEPTH + 1).as_bytes()),
        Err(XmlError::TooComplex)
    );
    assert_eq!(
        walk("<r>".repeat(1_000_000).as_bytes()),
        Err(XmlError::TooComplex)
    );
    for prefix in ["a", "xmlns:a"] {
        let attributes: String = (0..200_000)
            .map(|n| format!(" {prefix}{n}=\"u\""))
            .collect();
        let document = format!("<r{attributes}/>");
        assert_eq!(walk(document.as_bytes()), Err(XmlError::TooComplex));
    }
    // Namespaces in scope are counted over all open elements.
    let mut document = String::from("<r>");
    for n in 0..30 {
        document.push_str(&format!(
            "<r xmlns:a{n}=\"u\" xmlns:b{n}=\"u\" xmlns:c{n}=\"u\">"
        ));
    }
    assert_eq!(walk(document.as_bytes()), Err(XmlError::TooComplex));
}
