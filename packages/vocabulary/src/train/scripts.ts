// Unicode scripts of characters, as SentencePiece uses them to decide what may stand within one piece: kana counts as
// Han, and what Unicode has not assigned counts as common to all scripts, like punctuation and digits.

const common = 1;
const han = 2;

/** All scripts but Common, Hiragana and Katakana; Han comes first. */
const names: readonly string[] = (
  "Han Adlam Caucasian_Albanian Ahom Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali " +
  "Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Chakma Cham Cherokee " +
  "Chorasmian Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan " +
  "Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Garay Georgian Glagolitic Gothic Grantha Greek Gujarati " +
  "Gunjala_Gondi Gurmukhi Gurung_Khema Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Imperial_Aramaic " +
  "Inherited Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Kawi Kayah_Li Kharoshthi " +
  "Khitan_Small_Script Khmer Khojki Khudawadi Kirat_Rai Lao Latin Lepcha Limbu Linear_A Linear_B Lisu " +
  "Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin " +
  "Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar " +
  "Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki " +
  "Ol_Onal Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian " +
  "Old_Turkic Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician " +
  "Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian " +
  "Sora_Sompeng Soyombo Sundanese Sunuwar Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet " +
  "Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Todhri Toto Tulu_Tigalari Ugaritic " +
  "Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square"
).split(" ");

/** Patterns of the scripts that this JavaScript engine's Unicode has; made when first needed. */
let patterns: readonly RegExp[] | undefined;

/** Number of a character's script, less than 256; equal for characters of one script. */
export function scriptOf(code: number): number {
  const character = String.fromCodePoint(code);
  if (code === 0x30fc || /[\p{Script=Hiragana}\p{Script=Katakana}]/u.test(character)) return han;
  patterns ??= names.flatMap((name) => pattern(name) ?? []);
  const index = patterns.findIndex((one) => one.test(character));
  return index < 0 ? common : index + han;
}

function pattern(name: string): RegExp | undefined {
  try {
    return new RegExp(`\\p{Script=${name}}`, "u");
  } catch {
    return undefined;
  }
}
