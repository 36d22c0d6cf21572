//! The metadata file beside a data file.

use crate::agreement::derived_uuid;
use crate::soap_response::escape;

/// The root element of a metadata file. Both occur in practice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetadataRoot {
    /// `FileMetadata`, as in the schema of 2023.
    #[default]
    FileMetadata,
    /// `Trigger`, with white space around the UUID, as sent to older receivers.
    Trigger,
}

/// The content of a metadata file.
#[derive(Debug, Clone)]
pub(crate) struct Metadata<'a> {
    pub(crate) root: MetadataRoot,
    pub(crate) transfer: &'a str,
    pub(crate) file_name: &'a str,
    pub(crate) size: u64,
    pub(crate) sender: &'a str,
    pub(crate) recipient: &'a str,
    /// The CVR number of the receiving authority in the routing block.
    pub(crate) recipient_cvr: &'a str,
    /// `SenderTimestamp` of the routing block.
    pub(crate) sent: &'a str,
    /// Whether it has a routing block. The block is optional for SF6002.
    pub(crate) has_routing: bool,
}

impl Metadata<'_> {
    pub(crate) fn to_xml(&self) -> String {
        let (root, space) = match self.root {
            MetadataRoot::FileMetadata => ("FileMetadata", ""),
            MetadataRoot::Trigger => ("Trigger", "\n"),
        };
        let routing = match self.has_routing {
            true => self.routing(),
            false => String::new(),
        };
        // Only the root element is in the namespace.
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <ns2:{root} xmlns:ns2=\"{NAMESPACE}\">\n\
             <FileTransferUUID>{space}{transfer}{space}</FileTransferUUID>\n\
             <FileDescriptor>\n\
             <FileName>{name}</FileName>\n\
             <SizeInBytes>{size}</SizeInBytes>\n\
             <Sender>{sender}</Sender>\n\
             <Recipients>{recipient}</Recipients>\n\
             </FileDescriptor>\n\
             <FileContentDescriptor>{routing}</FileContentDescriptor>\n\
             </ns2:{root}>\n",
            transfer = self.transfer,
            name = escape(self.file_name),
            size = self.size,
            sender = escape(self.sender),
            recipient = escape(self.recipient),
        )
    }

    fn routing(&self) -> String {
        // The sending IT system is CPR's and the same for all deliveries.
        let system = derived_uuid(&["routing", "system"], &[]);
        let transaction = derived_uuid(&["routing", "transaction", self.transfer], &[]);
        format!(
            "\n<SFTPDynamicRoutingInfo>\n<InfRef>SF6002</InfRef>\n\
             <SenderIt-system>{system}</SenderIt-system>\n\
             <SenderAuthority>urn:oio:cvr-nr:00000001</SenderAuthority>\n\
             <TransactionId>{transaction}</TransactionId>\n\
             <SenderTimestamp>{sent}</SenderTimestamp>\n\
             <RecipientAuthority>urn:oio:cvr-nr:{cvr}</RecipientAuthority>\n\
             </SFTPDynamicRoutingInfo>\n",
            sent = self.sent,
            cvr = self.recipient_cvr,
        )
    }
}

const NAMESPACE: &str = "http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_root_element_is_in_the_namespace() {
        for (root, name) in [
            (MetadataRoot::FileMetadata, "FileMetadata"),
            (MetadataRoot::Trigger, "Trigger"),
        ] {
            let metadata = Metadata {
                root,
                transfer: "47570fc2-be65-4ab1-8da7-3bcc086bfef9",
                file_name: "a<b&c",
                size: 11,
                sender: "s",
                recipient: "r",
                recipient_cvr: "00000002",
                sent: "2026-03-02T04:00:00.000Z",
                has_routing: true,
            };
            let text = metadata.to_xml();
            let document = roxmltree::Document::parse(&text).unwrap();
            let root = document.root_element();
            assert_eq!(root.tag_name().name(), name);
            assert_eq!(root.tag_name().namespace(), Some(NAMESPACE));
            let field = |name: &str| {
                let mut nodes = root.descendants();
                let node = nodes.find(|node| node.tag_name().name() == name).unwrap();
                assert_eq!(node.tag_name().namespace(), None);
                node.text().unwrap().trim().to_owned()
            };
            assert_eq!(field("FileTransferUUID"), metadata.transfer);
            assert_eq!(field("FileName"), "a<b&c");
            assert_eq!(field("SizeInBytes"), "11");
            assert_eq!(field("InfRef"), "SF6002");
        }
    }
}
