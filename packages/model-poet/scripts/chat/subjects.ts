// What requests are about: things that tales of both languages and poems tell of, so that a request in one language can
// be answered in the other one.

export type Language = "english" | "chinese";

export interface Subject {
  /** As a request has it: `the fox`. */
  readonly english: string;
  /** Words of a text about it, in lower case. */
  readonly words: readonly string[];
  /** As a request has it. */
  readonly chinese: string;
  /** Characters of a prose text about it. */
  readonly prose: string;
  /** Characters in the title of a poem about it. */
  readonly verse: string;
}

const subject = (english: string, words: string, chinese: string, prose = chinese, verse = prose): Subject => ({
  english,
  words: words.split(" "),
  chinese,
  prose,
  verse,
});

export const subjects: readonly Subject[] = [
  subject("the moon", "moon moonlight", "月亮", "月"),
  subject("the sun", "sun sunshine", "太阳", "日头", "日"),
  subject("the wind", "wind winds", "风"),
  subject("the rain", "rain rained", "雨"),
  subject("the snow", "snow", "雪"),
  subject("the mountain", "mountain mountains", "山"),
  subject("the river", "river rivers", "江河", "江"),
  subject("the lake", "lake", "湖"),
  subject("the sea", "sea ocean", "海"),
  subject("the fire", "fire", "火"),
  subject("the flowers", "flower flowers roses", "花"),
  subject("the tree", "tree trees", "树", "树"),
  subject("the garden", "garden gardens", "花园", "园"),
  subject("the willow", "willow willows", "柳树", "柳"),
  subject("the bamboo", "bamboo bamboos", "竹子", "竹"),
  subject("the forest", "forest wood woods", "树林", "林"),
  subject("the road", "road path", "路"),
  subject("the bridge", "bridge", "桥"),
  subject("the city", "city town", "城"),
  subject("the gate", "gate gates", "城门", "门"),
  subject("the house", "house cottage", "屋子", "屋"),
  subject("the tower", "tower", "楼"),
  subject("the temple", "temple church", "寺庙", "寺"),
  subject("the boat", "boat ship", "船", "船", "舟"),
  subject("the horse", "horse horses", "马"),
  subject("the ox", "ox oxen cow", "牛"),
  subject("the sheep", "sheep lamb", "羊"),
  subject("the dog", "dog dogs", "狗"),
  subject("the tiger", "tiger tigers lion", "老虎", "虎"),
  subject("the monkey", "monkey monkeys", "猴子", "猴", "猿"),
  subject("the birds", "bird birds", "鸟"),
  subject("the fish", "fish fishes", "鱼"),
  subject("the dragon", "dragon dragons", "龙"),
  subject("the wild geese", "goose geese", "大雁", "雁"),
  subject("the king", "king kings", "大王", "大王", "王"),
  subject("the emperor", "emperor", "皇帝", "帝", "帝"),
  subject("the general", "general soldier soldiers", "将军"),
  subject("the old man", "old", "老人", "老", "老"),
  subject("the child", "child children", "孩子", "孩", "儿"),
  subject("the girl", "girl girls princess", "姑娘", "姑娘", "女"),
  subject("the brother", "brother brothers", "兄弟", "兄弟", "弟"),
  subject("the friend", "friend friends", "朋友", "朋友", "友"),
  subject("the guest", "guest guests visitor", "客人", "客"),
  subject("the monk", "monk priest hermit", "和尚", "和尚", "僧"),
  subject("the wine", "wine", "酒"),
  subject("the tea", "tea", "茶"),
  subject("the sword", "sword swords", "剑", "剑"),
  subject("the gold", "gold golden", "金子", "金"),
  subject("the book", "book books", "书"),
  subject("the letter", "letter letters", "信", "信", "书"),
  subject("the dream", "dream dreams", "梦"),
  subject("the night", "night midnight", "夜晚", "夜"),
  subject("the morning", "morning dawn", "早晨", "早", "晓"),
  subject("the spring", "spring", "春天", "春"),
  subject("the summer", "summer", "夏天", "夏"),
  subject("the autumn", "autumn", "秋天", "秋"),
  subject("the winter", "winter", "冬天", "冬"),
];
