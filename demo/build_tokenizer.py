"""Builds tokenizer.json of the tiny Seg-Zero: a byte-level vocabulary of whole words and numbers.

Every integer from 0 to 168, every word of the synthetic RefCOCOg (with and without a space before
it) and every constant piece of the prompt and of the reply is one token; all else falls back to
bytes. With `ignore_merges` a piece that the vocabulary has is one token, so no merges are needed.

    python build_tokenizer.py OUT/tokenizer.json
"""

import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
           "<|image_pad|>", "<|video_pad|>"]

COLORS = "red orange yellow green turquoise blue purple pink brown white black"
NOUNS = ("disc bar block ring star crescent horseshoe cross dumbbell zigzag three dots confetti "
         "coin stick brick doughnut étoile moon magnet plus sign bone lightning traffic light décor")
OTHERS = ("the it its it's one that thats that's s partly hidden by around inside in front of "
          "touching cut off at edge top bottom left right corner middle on small large")
LISTS = "nothing and"
CHAT = "user assistant system"

# Seg-Zero's prompt around the question, and the reply around its question and numbers.
PROMPT = [
    "Please find '",
    "' with bbox and points.Compare the difference between objects and find the most closely "
    "matched one.Output the thinking process in <think> </think> and final answer in <answer> "
    "</answer> tags.Output the one bbox and points of two largest inscribed circles inside the "
    "interested object in JSON format.i.e., <think> thinking process here </think><answer>"
    "{'bbox': [10,100,200,210], 'points_1': [30,110], 'points_2': [35,180]}</answer>",
]
REPLY = ["<think>", "I see", ". I look for", "I look for", "</think>", "</think><answer>",
         "<answer>", "</answer>", '{"bbox": [', '], "points_1": [', '], "points_2": [',
         "]}</answer>"]

# A comma before a number takes its space along; numbers have up to three digits; words, and numbers
# after a word, take the space before them along.
PIECES = (r", (?=\p{N})| ?\p{N}{1,3}| ?\p{L}+(?:'\p{L}+)?| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


def main(path):
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)

    def spelled(text):
        """The text in the alphabet that stands for bytes."""
        return byte_level.pre_tokenize_str(text)[0][0]

    words = [*COLORS.split(), *NOUNS.split(), *OTHERS.split(), *LISTS.split(), *CHAT.split()]
    numbers = [*(str(n) for n in range(169)), *(f" {n}" for n in range(169))]
    punctuation = [", ", " —", ' "', '."', '",', "',"]
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *map(spelled, numbers)]
    tokens += map(spelled, [*punctuation, *words, *(f" {word}" for word in words)])
    vocab = {token: id for id, token in enumerate(dict.fromkeys(tokens))}

    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], ignore_merges=True))
    split = pre_tokenizers.Split(Regex(PIECES), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in PROMPT + REPLY])
    tokenizer.save(path)
    print(f"{tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main(sys.argv[1])
