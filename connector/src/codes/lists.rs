//! The small reference tables.

use super::{Basis, Code, Definition};

const fn listed(code: &'static str, danish: &'static str, english: &'static str) -> Code {
    Code::new(code, Some(danish), Some(english), Basis::Listed)
}

const fn inferred(code: &'static str, danish: &'static str, english: &'static str) -> Code {
    Code::new(code, Some(danish), Some(english), Basis::Inferred)
}

const fn unknown(code: &'static str) -> Code {
    Code::new(code, None, None, Basis::Unknown)
}

const fn table(
    name: &'static str,
    description: &'static str,
    columns: &'static [&'static str],
    codes: fn() -> Vec<Code>,
) -> Definition {
    Definition {
        name,
        description,
        columns,
        more_columns: &[],
        codes,
    }
}

pub(super) const DEFINITIONS: &[Definition] = &[
    table("status", "Status of a person number", &["status"], || {
        STATUS.to_vec()
    }),
    table("sex", "Sex", &["sex"], || SEX.to_vec()),
    table("civil_status", "Civil status", &["civil_status"], || {
        CIVIL_STATUS.to_vec()
    }),
    table(
        "event",
        "Events that make CPR deliver a person",
        &["event_code"],
        || EVENT.to_vec(),
    ),
    table(
        "derived_mark",
        "Whom an event concerns; blank means the main person",
        &["derived_mark"],
        || DERIVED_MARK.to_vec(),
    ),
    table(
        "protection_type",
        "Protections. Type 0001 hides name and address",
        &["protection_type"],
        || PROTECTION_TYPE.to_vec(),
    ),
    table(
        "church_relation",
        "Relation to the Church of Denmark",
        &["church_relation"],
        || CHURCH_RELATION.to_vec(),
    ),
    table(
        "custody_type",
        "Holders of parental authority",
        &["custody_type"],
        || CUSTODY_TYPE.to_vec(),
    ),
    table(
        "guardian_relation_type",
        "How a guardian is named",
        &["guardian_relation_type"],
        || GUARDIAN_RELATION_TYPE.to_vec(),
    ),
    table(
        "guardianship_type",
        "Types of guardianship",
        &["guardianship_type"],
        || GUARDIANSHIP_TYPE.to_vec(),
    ),
    table(
        "condition_type",
        "Municipal conditions. The meaning of condition_code depends on the type",
        &["condition_type"],
        || CONDITION_TYPE.to_vec(),
    ),
    table("election_code", "Franchise", &["election_code"], || {
        ELECTION_CODE.to_vec()
    }),
    table(
        "name_mark",
        "Marks of names; blank means an unmarked name",
        &[
            "given_name_mark",
            "middle_name_mark",
            "surname_mark",
            "spouse_name_mark",
            "mother_name_mark",
            "father_name_mark",
        ],
        || NAME_MARK.to_vec(),
    ),
    table(
        "correction_mark",
        "Marks of former data; blank means valid",
        &["correction_mark"],
        || CORRECTION_MARK.to_vec(),
    ),
    table(
        "error_number",
        "Errors of input keys",
        &["error_number"],
        || ERROR_NUMBER.to_vec(),
    ),
];

const STATUS: &[Code] = &[
    listed("01", "Bopæl i Danmark", "Resident in Denmark"),
    listed(
        "03",
        "Bopæl i Danmark, høj vejkode",
        "Resident in Denmark, high street code",
    ),
    listed("05", "Bopæl i Grønland", "Resident in Greenland"),
    listed(
        "07",
        "Bopæl i Grønland, høj vejkode",
        "Resident in Greenland, high street code",
    ),
    listed(
        "20",
        "Uden bopæl, administrativt personnummer",
        "Not resident, administrative number",
    ),
    listed("30", "Annulleret personnummer", "Annulled number"),
    listed(
        "50",
        "Slettet personnummer (dobbeltnummer)",
        "Deleted number (duplicate)",
    ),
    listed("60", "Ændret personnummer", "Changed number"),
    listed("70", "Forsvundet", "Disappeared"),
    listed("80", "Udrejst", "Emigrated"),
    listed("90", "Død", "Dead"),
];

const SEX: &[Code] = &[listed("K", "Kvinde", "Female"), listed("M", "Mand", "Male")];

const CIVIL_STATUS: &[Code] = &[
    listed("D", "Død", "Dead"),
    listed("E", "Enke eller enkemand", "Widowed"),
    listed("F", "Fraskilt", "Divorced"),
    listed("G", "Gift", "Married"),
    listed("L", "Længstlevende partner", "Surviving partner"),
    listed("O", "Opløst partnerskab", "Dissolved partnership"),
    listed("P", "Registreret partnerskab", "Registered partnership"),
    listed("U", "Ugift", "Unmarried"),
];

const PROTECTION_TYPE: &[Code] = &[
    listed("0001", "Navne- og adressebeskyttelse", "Name and address"),
    listed("0002", "Lokalvejviserbeskyttelse", "Local directory"),
    listed("0003", "Markedsføringsbeskyttelse", "Marketing"),
    listed("0004", "Forskerbeskyttelse", "Research"),
    listed("0005", "Kreditadvarsel", "Credit warning"),
];

const CHURCH_RELATION: &[Code] = &[
    listed("A", "Afventer", "Pending"),
    listed("F", "Medlem af folkekirken", "Member"),
    listed(
        "M",
        "Medlem af folkekirken og en valgmenighed",
        "Member, of an elective congregation",
    ),
    listed(
        "S",
        "Medlem af folkekirken, fritaget for kirkeskat",
        "Member, exempt from church tax",
    ),
    listed("U", "Uden for folkekirken", "Outside"),
];

const CUSTODY_TYPE: &[Code] = &[
    listed("0003", "Første forælder", "First parent"),
    listed("0004", "Anden forælder", "Second parent"),
    listed("0005", "En anden person", "Another person"),
    listed("0006", "En anden person", "Another person"),
];

const GUARDIAN_RELATION_TYPE: &[Code] = &[
    listed("0000", "Værgen er ikke i CPR", "Guardian not in CPR"),
    listed(
        "0001",
        "Værgen er angivet med personnummer",
        "Guardian by person number",
    ),
    listed(
        "0002",
        "Værgen er angivet med navn og adresse",
        "Guardian by name and address",
    ),
];

const GUARDIANSHIP_TYPE: &[Code] = &[
    listed("DELVIS", "Delvist værgemål", "Partial"),
    listed("FULD", "Fuldt værgemål", "Full"),
];

const CONDITION_TYPE: &[Code] = &[
    listed("1", "Lever adskilt", "Lives apart"),
    listed("2", "Plejebarn", "Foster child"),
    listed("3", "Pension", "Pension"),
    listed("4", "Betalingskommune", "Paying municipality"),
    listed("5", "Til kommunens brug", "Free use"),
    listed("6", "Til kommunens brug", "Free use"),
];

const ELECTION_CODE: &[Code] = &[
    listed(
        "0001",
        "Almindelig valgret og danskere i udlandet",
        "Ordinary franchise, and Danes abroad",
    ),
    listed("0002", "Brexit", "Brexit"),
    listed(
        "0004",
        "EU-borgere i Danmark, som ønsker valgret",
        "EU citizens in Denmark who chose to vote here",
    ),
    listed(
        "0005",
        "Danskere i andre EU-lande, som ikke ønsker valgret",
        "Danes in other EU states who chose not to vote in Denmark",
    ),
    listed(
        "0006",
        "Danskere i andre EU-lande, som ønsker valgret",
        "Danes in other EU states who chose to vote in Denmark",
    ),
    listed("0007", "Nordatlanten", "North Atlantic"),
    listed("0008", "Nordatlanten", "North Atlantic"),
];

const NAME_MARK: &[Code] = &[
    listed(
        "*",
        "Navnet har tegn, som CPR ikke kan gemme",
        "Has characters that CPR cannot store",
    ),
    listed("+", "Forkortet navn", "Shortened"),
    listed(
        "=",
        "Utilstrækkeligt dokumenteret navn",
        "Insufficiently documented",
    ),
];

const CORRECTION_MARK: &[Code] = &[
    listed("A", "Annulleret", "Annulled"),
    listed("K", "Korrigeret", "Corrected"),
    listed("Æ", "Teknisk ændring", "Technical change"),
];

const ERROR_NUMBER: &[Code] = &[
    listed("6001", "Forkert format", "Wrong format"),
    listed("8451", "Personnummeret er forkert", "Wrong person number"),
    listed(
        "8452",
        "Personnummeret findes ikke i CPR",
        "Person number not in CPR",
    ),
    listed("8457", "Kommunekoden er forkert", "Wrong municipality"),
    listed("8458", "Kommunekoden er ukendt", "Unknown municipality"),
    listed(
        "8474",
        "Abonnement er ikke tilladt",
        "Subscription not allowed",
    ),
    listed("8478", "Nøglen findes i forvejen", "Key exists"),
    listed("8494", "Personnummeret er slettet", "Person number deleted"),
    listed(
        "8495",
        "Personnummeret er annulleret",
        "Person number annulled",
    ),
    listed("8496", "Personnummeret er ændret", "Person number changed"),
];

const EVENT: &[Code] = &[
    listed("A01", "Flytning", "Move"),
    listed("A02", "Forsvinding", "Disappearance"),
    listed("A03", "Genfinding", "Found again"),
    listed("A04", "Genindrejse", "Re-immigration"),
    inferred("A05", "Indrejse", "Immigration / first entry"),
    listed("A06", "Udrejse", "Emigration"),
    listed(
        "A07",
        "Ændring af supplerende adresse",
        "Change of supplementary address",
    ),
    listed(
        "A08",
        "Opdatering af udlandsfelter/valgretsfelter",
        "Update of foreign-residence or franchise fields",
    ),
    listed(
        "A09",
        "Korrektion af aktuel adresse",
        "Correction of current address",
    ),
    listed(
        "A10",
        "Annullation af aktuel adresse - udrejse eller forsvinding",
        "Annulment of current address (emigration or disappearance)",
    ),
    listed(
        "A13",
        "Navneændring (ved ændring af adresseringsnavn/fornavn/mellemnavn/efternavn)",
        "Name change",
    ),
    listed("A14", "Navngivelse", "Naming"),
    listed(
        "A15",
        "Opdater navnefelter (ved ændring af adresseringsnavn/fornavn/mellemnavn/efternavn)",
        "Update of name fields",
    ),
    listed(
        "A16",
        "Korrektion af aktuelle navne (ved ændring af fornavn/mellemnavn/efternavn)",
        "Correction of current names",
    ),
    listed(
        "A17",
        "Annullation af aktuelle navne (ved ændring af fornavn/mellemnavn/efternavn)",
        "Annulment of current names",
    ),
    inferred("A19", "Vielse", "Marriage"),
    inferred("A20", "Skilsmisse", "Divorce"),
    listed("A21", "Dødsfald", "Death"),
    inferred("A23", "Registreret partnerskab", "Registered partnership"),
    listed(
        "A24",
        "Ændring af civilstandsdata",
        "Change of civil-status data",
    ),
    listed(
        "A25",
        "Annullation af aktuel civilstand (annullation af dødsfald)",
        "Annulment of current civil status (undoing a death)",
    ),
    inferred("A27", "Statsborgerskab", "Citizenship related"),
    inferred("A29", "Statsborgerskab", "Citizenship related"),
    inferred("A31", "Notat", "Note"),
    inferred("A32", "Kommunale forhold", "Municipal condition"),
    listed("A33", "Beskyttelse", "Protection"),
    listed(
        "A34",
        "Folkekirkeforhold + Stilling",
        "Church relation and occupation",
    ),
    inferred("A35", "Adoption", "Adoption"),
    inferred("A36", "Mor/far-oplysning", "Maternity/paternity change"),
    inferred("A37", "Faderskab", "Paternity"),
    inferred("A38", "Faderskab", "Paternity correction"),
    listed(
        "A40",
        "Annullation af personnummer",
        "Annulment of person number",
    ),
    listed(
        "A42",
        "Teknisk ændring af adresser - batch",
        "Technical change of addresses (batch)",
    ),
    listed("A45", "PNR-abonnement", "Person-number subscription"),
    listed("A47", "Opdater kontaktadresse", "Update of contact address"),
    inferred("A51", "Fødsel", "Birth"),
    listed(
        "A73",
        "Under værgemål (umyndiggørelse)",
        "Guardianship (legal incapacity)",
    ),
    listed(
        "A74",
        "Rekvisition af personposter",
        "Requisition of person records",
    ),
    listed(
        "K74",
        "Rekvisition af personposter (maskinelt dannet periodisk)",
        "Requisition of person records (generated periodically)",
    ),
    listed(
        "P02",
        "Sletning af personnummer",
        "Deletion of person number",
    ),
    listed("P03", "Ændring af personnummer", "Change of person number"),
    listed(
        "P10",
        "Ændring af postnummer/bynavn/lokalitet/vejnavn",
        "Change of postal code, town, locality or street name",
    ),
    listed(
        "P11",
        "Automatisk sletning af navne- og adressebeskyttelse/notat/kontaktadresse/forældremyndighed",
        "Automatic deletion of protection, note, contact address or custody",
    ),
    listed(
        "P31",
        "Indrejse med personnummer - indberet",
        "Immigration with person number (reported)",
    ),
    inferred("P32", "Flyttepåbud", "Relocation order"),
    inferred("P35", "Separation", "Separation"),
    inferred("P36", "Separation", "Separation ended/changed"),
    inferred("P40", "Forældremyndighed", "Custody"),
    listed(
        "P42",
        "Ændre personnummer - fortryd",
        "Change of person number undone",
    ),
    listed(
        "P43",
        "Slet personnummer - fortryd (en person får sit tidligere personnummer tilbage)",
        "Deletion of person number undone",
    ),
    listed(
        "P48",
        "Korrektion af aktuel separation",
        "Correction of current separation",
    ),
    listed(
        "P49",
        "Annullation af aktuel separation",
        "Annulment of current separation",
    ),
    unknown("P51"),
    unknown("P55"),
    listed(
        "P56",
        "Annullation af aktuel folkekirkeforhold",
        "Annulment of current church relation",
    ),
    inferred(
        "P58",
        "Navn ved vielse/adoption",
        "Name taken at marriage/adoption",
    ),
];

const DERIVED_MARK: &[Code] = &[
    listed("BØ", "Barn", "Children"),
    listed("FA", "Far", "Father"),
    listed("HP", "Historisk partner", "Historical partner"),
    listed("HÆ", "Historisk ægtefælle", "Historical spouse"),
    listed("MO", "Mor", "Mother"),
    listed("NB", "Nyt barn", "New children"),
    listed("NF", "Ny far", "New father"),
    listed("NM", "Ny mor", "New mother"),
    listed("NP", "Ny partner", "New partner"),
    listed("NV", "Ny værge", "New guardian"),
    listed("NÆ", "Ny ægtefælle", "New spouse"),
    listed("PA", "Partner", "Partner"),
    listed("PH", "Historisk personnummer", "Historical person number"),
    listed(
        "PN",
        "Nyt gældende personnummer",
        "Newly valid person number",
    ),
    listed(
        "PT",
        "Tidligere gældende personnummer",
        "Formerly valid person number",
    ),
    listed("TB", "Tidligere barn", "Former children"),
    listed("TF", "Tidligere far", "Former father"),
    listed("TM", "Tidligere mor", "Former mother"),
    listed("TP", "Tidligere partner", "Former partner"),
    listed("TÆ", "Tidligere ægtefælle", "Former spouse"),
    listed("VS", "Værge slettet", "Guardian deleted"),
    listed("ÆG", "Ægtefælle", "Spouse"),
    listed("FM", "Tidligere far, ny mor", "Former father, new mother"),
    listed("FN", "Forældremyndighed, ny", "New custody"),
    listed("FT", "Forældremyndighed, tidligere", "Former custody"),
    listed("MF", "Tidligere mor, ny far", "Former mother, new father"),
];
