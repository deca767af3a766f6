"""The Korean documents: what is prose in them, and what is wrong with a paragraph of it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from documents import MARKDOWN, ROOT, documents, markdown
from markdown_it.token import Token

# One term for one thing: the one that is used, and what else it is called elsewhere. Where the book
# has a word for it, that is the one.
TERMS = {
    "순전파": r"전방 ?전파|순방향 ?전파|정방향 ?전파|포워드|순 전파",
    "역전파": r"후방 ?전파|역방향 ?전파|오차 ?역전파|백프롭|백 ?프로퍼게이션|백워드|역 전파",
    "미니배치": r"미니 배치|소배치",
    "은닉 계층": r"은닉층|은닉계층|은닉 층|은닉 레이어|히든",
    "계층": r"(?<!플)레이어",
    "편미분": r"편 미분|부분 ?미분|편도함수",
    "경사하강법": r"경사 하강|기울기 ?하강|경사강하|경사하강(?!법)",
    "손실 함수": r"손실함수|비용 ?함수|목적 ?함수|오차 ?함수",
    "기울기": r"그[래라레]디언트|그레이디언트|경사도|구배",
    "매개변수": r"(?<!하이퍼)파라[미메]터|매개 변수|(?<![가-힣])모수",
    "가중치": r"웨이트|가중값",
    "편향": r"바이어스|편향치|절편",
    "계산 그래프": r"계산그래프|연산 ?그래프|컴퓨테이션 ?그래프",
    "활성화 함수": r"활성화함수|활성 ?함수|액티베이션",
    "교차 엔트로피": r"교차엔트로피|크로스 ?엔트로피|상호 ?엔트로피",
    "소프트맥스": r"소프트 맥스",
    "시그모이드": r"시그 모이드|씨그모이드",
    "학습률": r"학습율|학습 률|러닝 ?레이트|학습 속도",
    "에포크": r"에폭|이포크",
    "정확도": r"정확율|정확률",
    "학습": r"훈련|트레이닝",
    "테스트 데이터": r"시험 ?데이터|테스트 ?(?:셋|세트)|평가 데이터|검사 데이터",
    "연산": r"오퍼레이[터션]",
    "텐서": r"텐써",
    "유한 차분": r"유한차분|유한 차이",
    "브로드캐스팅": r"브로드캐스트|브로드 캐스팅",
    "위상 순서": r"위상순서|토폴로지",
    "최적화기": r"옵티마이[저제]|최적화 도구",
    "벡터-야코비 곱": r"자코비|야코비안|벡터 야코비|야코비-벡터",
    "내보내기": r"익스포트|엑스포트",
    "원-핫 벡터": r"원핫|원 핫|원-핫 ?인코딩",
    "이진 판단": r"이진 ?분류|이항 ?분류",
    "선택 분류": r"다중 ?분류|다중 ?클래스|다범주 분류",
    "다층 퍼셉트론": r"다층퍼셉트론|멀티 ?레이어|다중 ?퍼셉트론",
    "합성곱": r"합성 곱|컨[볼벌]루션|콘볼루션",
    "주피터 노트북": r"쥬피터|주피터노트북|(?<!주피터 )노트북",
    "배치 정규화": r"배치정규화|일괄 정규화",
    "드롭아웃": r"드롭 아웃|드랍아웃",
    "형상": r"[셰쉐]이프|(?<![가-힣])모양",
    "인수": r"(?<![가-힣])인자(?!리)",
    "표본": r"샘플|예제 입력",
    # what a person writes is 짠, what the graph writes is 적은
    "손으로 짠": r"손으로 (?:잘 )?(?:쓴|쓰[고기는]|적[은고기는]|작성)",
    "직접 짠": r"직접 (?:쓴|쓰[고기는]|써|적[은고기는]|작성)",
    "소스로 적은": r"(?:소스|코드)로 (?:써|쓴|쓰[고기는])",
    "이계도함수": r"이계 도함수|[2이]차 ?(?:미분|도함수)",
    "검증": r"증명",
    "비교": r"견[주줄준줘]",
    "셀": r"(?<![가-힣])칸",
    "컴퓨터": r"(?<![가-힣])기계(?!어)",
    "추가 설치": r"선택 설치",
    "dtype": r"자료형|데이터 ?타입",
    "JAX": r"(?<![\w/.])jax(?![a-z_/.])",
    "관례와 채점": r"채점과 관례",
    "한 쪽짜리 엔진": r"한 ?페이지(?:짜리|에 담은)? 엔진",
}

# Words that belong together, or apart, and turns of phrase that are another language's.
SPACES = re.compile(
    r"[할볼쓸될줄낼갈읽올]수 ?[있없]| 수[있없]|지않[는은고습]|기위[해한]"
    r"|(?<=[가-힣C]) (?:씩|마다|부터|까지|처럼|에서|에게)(?=[ .,])"
)
TRANSLATED = re.compile(
    r"에 의[해하한]|되어[지진집]|[을를] 가지고 있|것이 가능|[을를] 필요로|에 있어서?[는,]"
)

HANGUL = re.compile(r"[가-힣]")
ENGLISH = re.compile(r"(?<![\w./-])[a-z][a-z'-]+(?![\w/-])")  # no name: these have capitals
IN_A_ROW = re.compile(r"(?:[a-z][a-z'-]+[ ,]+){5}[a-z]")
# A sentence ends in -니다, or in -시다; in -다 it is the style of a report, in -요 of a talk. Nouns may end so.
PLAIN = re.compile(r"(?<![니마보시])다(?=[.!?:]|$)")
TALKING = re.compile(r"(?:(?<![필개중주소수])요|죠)(?=[.!?:]|$)")
# After a name that ends in a consonant when it is said, and after one that ends in a vowel.
PARTICLE = re.compile(r"`([^`\n]+)`(?:(은|이|을|과)|(는|가|를|와))(?![가-힣])")


def korean_documents() -> list[Path]:
    """All documents in Korean, and programs that are read as such."""
    found = [ROOT / name for name in documents() if ".ko." in name]
    return [*found, *sorted(ROOT.glob("examples/**/*.ko.py"))]


def prose_of(file: Path) -> list[str]:
    """The paragraphs of a document, without code."""
    return [paragraph for text in markdown_of(file) for paragraph in paragraphs(text)]


def markdown_of(file: Path) -> list[str]:
    """What is written in a document, in one piece or several; of a program, its docstrings and comments."""
    if file.suffix != ".py":
        return markdown(file)
    text = file.read_text(encoding="utf-8")
    return [*docstrings(text), *comments(text)]


def docstrings(program: str) -> Iterator[str]:
    """Those of a program, its classes and its functions, without the code in them."""
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            said = ast.get_docstring(node) or ""
            yield said.partition(">>>")[0]


def comments(program: str) -> Iterator[str]:
    """Comments of a program, lines below each other in one piece."""
    block: list[str] = []
    before = 0
    for token in tokenize.generate_tokens(io.StringIO(program).readline):
        if token.type != tokenize.COMMENT:
            continue
        if block and token.start[0] != before + 1:
            yield "\n".join(block)
            block = []
        block.append(token.string.removeprefix("#").removeprefix(" "))
        before = token.start[0]
    yield "\n".join(block)


def paragraphs(markdown: str) -> list[str]:
    """Paragraphs, headings, items of lists and cells of tables, each in one line."""
    lines = (token for token in MARKDOWN.parse(markdown) if token.type == "inline")
    return [" ".join(words_of(line).split()) for line in lines if line.content]


def words_of(line: Token) -> str:
    """What one reads of a line. A name in code is a `C`: what is said of it goes on."""
    said = {"softbreak": " ", "code_inline": "C", "html_inline": ""}
    return "".join(said.get(part.type, part.content) for part in line.children or ())


def faults(paragraph: str) -> list[str]:
    """What is wrong with a paragraph of Korean, each in a few words."""
    found = [
        f"{other[0]}: here it is {term}"
        for term, others in TERMS.items()
        for other in re.finditer(others, paragraph)
    ]
    bare = re.sub(r"[\"')\]]", "", paragraph)
    if PLAIN.search(bare):
        found.append("ends in -다, and not in -니다")
    if TALKING.search(bare):
        found.append("ends in -요, and not in -니다")
    found += [f"spaces: {wrong[0]}" for wrong in SPACES.finditer(bare)]
    found += [f"sounds translated: {wrong[0]}" for wrong in TRANSLATED.finditer(bare)]
    is_english = not HANGUL.search(bare) and len(ENGLISH.findall(bare)) >= 3
    if is_english or IN_A_ROW.search(bare):
        found.append("is left in English")
    return found


def said_in_two_ways(texts: Iterable[str]) -> list[str]:
    """Names in code that are read as ending in a consonant here and in a vowel there: `op`은, `op`는."""
    ways: defaultdict[str, set[str]] = defaultdict(set)
    for text in texts:
        for name, _, vowel in PARTICLE.findall(text):
            ways[name.removesuffix("()")].add("vowel" if vowel else "consonant")
    return [name for name, found in ways.items() if len(found) > 1]
