"""What stands before a full stop that ends nothing, and the small words of Thai and Lao that tie phrases together.

Small letters, without the last stop; a form with stops inside is one word (`e.g`). Collected from the abbreviation
pages of the languages and from medical text; more is safe in `TITLES` only where the form is not a word as well.
"""

TITLES = """
dr drs mr mrs ms messrs prof profs rev hon sen rep gov gen col lt maj capt sgt st ste sra sr srta srs dña ud uds mme mmes
mlle mlles me mgr pr frau hr fr dipl-ing dipl ing med phil nat univ doz dott dottssa dott.ssa sig sigg sigra avv ing arch
prof.ssa dra profª mevr dhr ir drs mej fru frk hrn mgr mudr pharmdr rndr phdr judr bc ing doc lek prof hab inż mec ks
проф акад доц канд им г-н г-жа д-р инж св тов гр dl dna dnul dr-ul
e.g i.e viz cf vgl z.b d.h u.a o.ä s.o s.u i.d.r i.v.m z.t u.u bzw sog evtl ggf ca inkl exkl insb bspw usw-
p.ex p.ej t.ex f.eks t.d bl.a m.in np tzn tj tzw wg m.in ok pt tzv např tj resp popř cca angl lat resp napr tzv t.j
т.е т.к т.н т.о напр см ср в.т.ч т.ч тыс млн млрд греч лат англ нем фр букв соотв преим т.зв напр т.нар
por.ej pág págs núm núms aprox ej eg ie approx incl excl esp spp sp subsp var vs v.s al-
env cà.d c-à-d réf éd bijv d.w.z o.a m.b.v t.o.v i.p.v enz- m.a.o nl zgn
bv mm- sz ún ill pl vö ld kb sk stb- dkk- örn yy- bkz doç yrd öğr vb- mad yak krş
डॉ प्रो श्री सुश्री कु पं स्व मि.ग्रा मि.ली कि.ग्रा से.मी ई.पू डा प्रा ডা ড ডাঃ প্রফেসর মি.গ্রা মো ડૉ ਡਾ டாக்டர் திரு డా డాక్టర్ ഡോ ಡಾ
"""
"""Never the end of a sentence, whatever follows."""

NUMBERED = """
no nos nr nrs n° nº núm num numb fig figs figg abb abbn tab tabs tabl tabela eq eqs gl ref refs sec secs sect ch chap chaps
vol vols pp pg pgs p s pag pág págs seite art arts para paras p.p ed eds bd bde kap lib cap caps ver rev
рис табл стр с гл п пп ст см разд том вып пр № №№ обр мал čl č obr str strana ryc rys poz nr.art sv roč čís
op jan feb mar apr jun jul aug sep sept oct okt nov dec dez ene abr ago dic
"""
"""Not the end of a sentence before a number (`No. 5`, `рис. 2`)."""

LAST = """
etc usw etw u.s.w a.m p.m b.i.d t.i.d q.i.d q.d b.d o.d h.s p.o p.r.n i.v i.m s.c a.c p.c n.e e.v a.d b.c v.chr n.chr
т.д т.п др пр гг г вв в руб коп т.п н.э atd apod itd itp m.fl o.s.v osv mm enz e.d u.v.m u.ä o.dgl o.ä inc ltd corp co
a.c.n d.c j.-c av.j.-c m.m
"""
"""Abbreviations that often close a sentence: the end when what follows looks like a beginning."""

STARTERS = """
the a an it he she they we you i this that these those there in on at for from with when if as but and so however its his
her their our no not after before although while because then what how why who
der die das den dem ein eine es er sie wir ihr im in am bei mit nach wenn aber und auch dies diese dieser dieses für zu
le la les un une il elle ils elles nous vous on ce cette ces dans en à au aux pour par avec si mais et
el los las una lo él ella ellos ellas su sus este esta estos estas en al por para con si pero y no se
o os as um uma ele ela eles elas este esta isto em no na nos nas por para com se mas e não
il lo gli i uno è nel nella si ma ed con per se questo questa
de het een hij zij ze wij dit dat deze die en maar op bij
это он она они мы вы в на по при если но и а как для все также
"""
"""Words that, with a capital, begin a sentence even after an initial (`hepatitis B. The virus`)."""

ROMAN = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx xxi"

# Thai and Lao, where a blank may end a sentence, a clause or an item. Before or after the blank, by letters.
TIED_BEFORE = """
และ หรือ แต่ เช่น ได้แก่ คือ ว่า ที่ ซึ่ง อัน โดย เพื่อ ของ กับ จาก ใน เป็น มี ให้ ด้วย ระหว่าง ตั้งแต่ ประมาณ ราว เกือบ กว่า ๆ ฯ ชื่อ ปี เดือน วันที่
ແລະ ຫຼື ແຕ່ ເຊັ່ນ ຄື ວ່າ ທີ່ ຊຶ່ງ ເຊິ່ງ ໂດຍ ເພື່ອ ຂອງ ກັບ ຈາກ ໃນ ເປັນ ມີ ໃຫ້ ລະຫວ່າງ ຕັ້ງແຕ່ ປະມານ ໆ ຊື່ ປີ ເດືອນ ວັນທີ
"""
TIED_AFTER = """
และ หรือ แต่ ที่ ซึ่ง โดย เพื่อ เพราะ เนื่องจาก จึง ก็ รวมถึง รวมทั้ง เช่น ได้แก่ กับ จาก ใน ของ ว่า จน ทำให้ ตลอดจน ถึง แล้ว จะ ๆ ฯ คน ครั้ง ปี เม็ด วัน อย่าง มิลลิกรัม เปอร์เซ็นต์ เป็น ซึ่ง และ
ແລະ ຫຼື ແຕ່ ທີ່ ຊຶ່ງ ເຊິ່ງ ໂດຍ ເພື່ອ ເພາະ ເນື່ອງຈາກ ຈຶ່ງ ກໍ ລວມທັງ ເຊັ່ນ ກັບ ຈາກ ໃນ ຂອງ ວ່າ ຈົນ ເຮັດໃຫ້ ແລ້ວ ຈະ ໆ ຄົນ ຄັ້ງ ປີ ເມັດ ມື້ ເປັນ
"""
CLOSERS = "ครับ ค่ะ คะ จ้ะ ไหม หรือไม่ หรือเปล่า นะ แล้ว เสมอ เท่านั้น ບໍ່ ແລ້ວ ເດີ ເທົ່ານັ້ນ"
OPENERS = """
ดังนั้น อย่างไรก็ตาม นอกจากนี้ นอกจากนั้น ทั้งนี้ หาก ถ้า เมื่อ ผู้ป่วย แพทย์ ห้าม ควร โปรด กรุณา เรา เขา เธอ ฉัน ผม คุณ หลังจาก ก่อน แม้ สำหรับ
ການ ດັ່ງນັ້ນ ຢ່າງໃດກໍຕາມ ນອກຈາກນີ້ ຖ້າ ຫາກ ເມື່ອ ຄົນເຈັບ ແພດ ຫ້າມ ຄວນ ກະລຸນາ ພວກເຮົາ ລາວ ຂ້ອຍ ທ່ານ ຫຼັງຈາກ ກ່ອນ ເຖິງ ສຳລັບ
"""

# Tibetan: a shad after one of these syllables sets a clause apart, not a sentence.
TIBETAN_TIED = "དང ནས ན ལ སྟེ ཏེ དེ ཀྱང ཡང འང ཞིང ཅིང ཤིང ལས པས བས ཕྱིར ཀྱི གྱི གི ཡི ཀྱིས གྱིས གིས ཡིས"
