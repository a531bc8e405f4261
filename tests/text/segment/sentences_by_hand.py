"""Texts, one a line, cut by hand: | where a sentence begins, \\n for a line feed."""

SENTENCES = {
    "eng": r"""
Dr. Smith gave 2.5 mg. |He left at 5 p.m. |The patient slept.
See Fig. 2 and Table No. 3. |The pH was 7.4. |It fell later.
E. coli and S. aureus were found, e.g. in urine. |Both are common.
"Does it hurt?" she asked. |"No!" he said. |They left.
He had hepatitis B. |The virus was cleared.
1. Wash your hands. |2. Dry them.
Give amoxicillin 500 mg b.i.d. for 7 d. |Stop if a rash appears.
Wait... what? |Nothing.
The dose (see p. 12) is 0.5 mL. |mRNA vaccines differ.
Smith et al. found no effect. |This was unexpected.
Chest pain\n|Shortness of breath\n|Fever
Visit www.who.int. |It is free.
The patient was admitted to the ward late in the\nevening of the same day. |He recovered.
""",
    "deu": r"""
Am 3. Mai kam Dr. Meier. |Er blieb bis zum 5. Juni.
Nehmen Sie z. B. 2,5 mg ein. |Danach warten Sie ca. 2 Std. lang.
Im 19. Jahrhundert starb man daran. |Heute nicht mehr.
Siehe Abb. 4 und Nr. 7. |Die Werte sind normal.
„Haben Sie Fieber?“ fragte er. |„Nein.“ |Dann ging er.
Der pH-Wert lag bei 7,4. |Das ist normal.
Geben Sie Antibiotika, d.h. Penicillin, bzw. Makrolide. |Kontrolle nach 2 Tagen.
Prof. Weber operierte den II. Bauchraum. |Alles verlief gut.
Schmerzen, Fieber usw. |Die Ursache ist unklar.
""",
    "fra": r"""
M. Dupont et Mme. Martin ont 2,5 g. |Ils vont bien.
« Avez-vous mal ? » demanda le Dr. Petit. |Non !
La dose est de 0,5 mg. |Elle est prise p.ex. le soir.
Voir fig. 3. |Le résultat est normal.
Est-ce grave ? |Non. |Reposez-vous.
E. coli est une bactérie. |Elle vit dans l'intestin.
Prenez 1 comprimé 3 fois par jour. |Consultez si besoin.
Attendez… |Il arrive.
""",
    "spa": r"""
El Dr. García llegó. |La Sra. López tenía fiebre.
¿Le duele? |Sí. |¡Ayuda!
Tome 2.5 mg cada 8 h. |No conduzca.
Véase la pág. 12. |Los EE. UU. son grandes. |El resto no.
La infección por S. pneumoniae es grave. |Requiere ingreso.
El pH fue 7.4. |Era normal.
Vive en el n.º 5. |Está solo.
"¿Fuma?" preguntó. |No.
""",
    "por": r"""
O Dr. Silva chegou. |A Sra. Costa saiu.
Tome 2,5 mg. |Depois descanse.
Veja a fig. 2. |O valor é normal.
Dói? |Não. |Ótimo!
O vírus da hepatite C. |O tratamento é simples.
Use antibióticos, p.ej. penicilina. |Volte amanhã.
O pH foi de 7,4. |Tudo bem.
Na pág. 3 está a dose. |Leia-a.
""",
    "rus": r"""
Пациент принимал 2,5 мг, т.е. половину. |Затем выписан.
См. рис. 2 и табл. 3. |Данные в норме.
Осмотрен д-р. Ивановым и проф. Петровым. |Жалоб нет.
Он заболел в 2020 г. |Теперь здоров.
Он родился в г. Москве. |Живёт там же.
Боль, жар и т.д. |Причина неясна.
Рана 5 см. |Края ровные.
«Болит?» — спросил врач. |«Нет!» |Он ушёл.
А. С. Пушкин умер от раны. |Ему было 37 лет.
Есть ли жар? |Да. |Сколько?
""",
    "pol": r"""
Dr Nowak podał 2,5 mg. |Pacjent śpi.
Por. tab. 3. |Wynik jest dobry.
Leki, np. aspiryna, itp. |Nie łączyć.
Dnia 3. Maja przyjęto chorego. |Gorączka ustąpiła.
Czy boli? |Tak. |Bardzo!
Zob. ryc. 4. |Zmiana jest mała.
Prof. Kowalski operował. |Udało się.
pH wynosi 7,4. |To norma.
""",
    "ell": r"""
Πονάτε; |Ναι. |Πού;
Ο δρ. Παπάς ήρθε. |Έφυγε νωρίς.
Η δόση είναι 2,5 mg. |Μην οδηγείτε.
Φάρμακα, π.χ. ασπιρίνη, βοηθούν. |Ρωτήστε τον γιατρό.
Το pH είναι 7,4. |Είναι φυσιολογικό.
Προσοχή! |Μην το πάρετε.
«Έχετε πυρετό;» ρώτησε. |Όχι.
Ήρθε στις 3.5.2020. |Πήγε σπίτι.
""",
    "hye": r"""
Հիվանդը ջերմում է։ |Նա հազում է։
Դեղաչափը 2.5 մգ է։ |Մի՛ վարեք։
Ցավո՞ւմ է։ |Այո։
Նա եկավ: |Բժիշկը գնաց:
Ջուր խմեք։ |Հանգստացեք։ |Սպասեք։
Ժամը 5:30 է։ |Գնացինք։
pH-ը 7.4 է։ |Նորմալ է։
«Լավ եմ»,— ասաց նա։ |Հետո գնաց։
""",
    "ara": r"""
هل تشعر بألم؟ |نعم. |أين؟
وصل د. أحمد إلى المستشفى. |ثم غادر.
الجرعة 2.5 ملغ. |لا تتجاوزها.
تناول الدواء مرتين يوميا! |اشرب الماء.
الرقم الهيدروجيني 7.4. |هذا طبيعي.
قال: «هل لديك حمى؟» |ثم خرج.
العمر ٤٥ سنة. |الوزن ٧٠ كغ.
ولد سنة ١٩٨٠ م. في القاهرة. |يعيش هناك.
""",
    "urd": r"""
مریض کو بخار ہے۔ |اسے آرام دیں۔
کیا درد ہے؟ |جی ہاں۔
ڈی۔این۔اے کا ٹیسٹ ہوا۔ |نتیجہ ٹھیک ہے۔
خوراک 2.5 ملی گرام ہے۔ |زیادہ نہ لیں۔
وہ آیا- |پھر چلا گیا۔
پانی پیئیں! |آرام کریں۔
اس نے کہا۔ |”ٹھیک ہے۔“ |وہ گیا۔
پی ایچ 7.4 ہے۔ |یہ عام ہے۔
""",
    "hin": r"""
रोगी को बुखार है। |उसे आराम दें।
डॉ. शर्मा ने 2.5 मि.ग्रा. दवा दी। |वह ठीक है।
क्या दर्द है? |हाँ। |कहाँ?
वह अस्पताल में है. |वह कल आया था.
श्री. वर्मा और प्रो. सिंह आए। |सब ठीक है।
५०० मि.ग्रा. की गोली लें।। |पानी पिएँ।
पीएच 7.4 है। |यह सामान्य है।
"क्या हुआ?" |माँ ने पूछा। |"कुछ नहीं।"
ध्यान दें! |दवा लें।
""",
    "amh": r"""
ታካሚው ትኩሳት አለው። |ይተኛ።
ዶ/ር አበበ መጣ። |ሄደ።
ህመም አለ? |አዎ።
መድኃኒቱ 2.5 ሚ.ግ. ነው። |ይውሰዱ።
ውሃ ይጠጡ፡፡ |ይረፉ፡፡
ሰላም ነው:: |ደህና ሁን::
በ2010 ዓ.ም. ታመመ። |ዳነ።
ምንድን ነው፧ |አላውቅም።
""",
    "zho": r"""
患者发热。|无咳嗽。|血压正常。
剂量为2.5毫克。|每日两次。
你疼吗？|不疼！|那就好。
医生问：“发烧吗？”|他说没有。
pH值为7.4。|属正常范围。
见图2.3。|结果如下。
真的？！|是的。
可引起头晕.|患者应休息。
他住院了……后来好了。|出院。
""",
    "jpn": r"""
患者は発熱した。|咳はない。
「痛いです。」と言った。|帰った。
用量は2.5mgです。|食後に飲む。
痛いですか？|はい。|どこが？！|ここ。
正常であった．|終わり。
図1.2を参照。|次へ。
すごい！|本当だ。
（注意する。）|薬を飲む。
pHは7.4だった。|正常である。
""",
    "tha": r"""
คุณมีไข้ไหมครับ |ผมไม่มีไข้ครับ |ขอบคุณครับ
ผู้ป่วยอายุ 45 ปี มีไข้สูง และ ไอ
รับประทานยาครั้งละ 1 เม็ด วันละ 3 ครั้ง
เด็ก ๆ ควรล้างมือ เช่น ก่อนกินข้าว
นพ. สมชาย ตรวจคนไข้ที่ ร.พ. ศิริราช
ในปี พ.ศ. 2563 เกิดการระบาดของโรค
โรคนี้ติดต่อผ่านทางอากาศและการสัมผัส |นอกจากนี้ยังติดต่อทางน้ำ
ห้ามใช้ยานี้ในหญิงตั้งครรภ์\n|เก็บให้พ้นมือเด็ก
ปวดหัวมากไหม? |ไม่ปวด
ยานี้อาจทำให้ง่วงซึมและเวียนศีรษะได้ |หากมีอาการแพ้ให้หยุดยาทันที
""",
    "lao": r"""
ຄົນເຈັບມີໄຂ້ສູງ. |ລາວໄອຫຼາຍ.
ກິນຢາມື້ລະ 2 ຄັ້ງ ຫຼັງອາຫານ
ທ່ານເຈັບບໍ່? |ບໍ່ເຈັບ
ໃນ ສ.ປ.ປ ລາວ ມີພະຍາດນີ້
ຂະໜາດຢາແມ່ນ 2.5 ມກ
ລ້າງມືໃຫ້ສະອາດ\n|ດື່ມນ້ຳຫຼາຍໆ
ພະຍາດນີ້ຕິດຕໍ່ຜ່ານທາງອາກາດແລະນ້ຳ |ຖ້າມີໄຂ້ໃຫ້ໄປຫາໝໍ
ເດັກນ້ອຍ ແລະ ແມ່ ຄວນໄດ້ຮັບວັກຊີນ
""",
    "khm": r"""
អ្នកជំងឺមានគ្រុនក្តៅ។ |គាត់ក្អក។
លេបថ្នាំ ២ គ្រាប់។ |ផឹកទឹក។
តើឈឺទេ? |ទេ។
គេប្រើ ថ្នាំ ទឹក ។ល។ |ចប់។
កម្រិតគឺ 2.5 mg។ |កុំលើស។
សូមសម្រាក ។ |អរគុណ ។
ប្រយ័ត្ន! |កុំប៉ះ។
ចប់៕ |ថ្មី។
""",
    "mya": r"""
လူနာ ဖျားသည်။ |ချောင်းဆိုးသည်။
ဆေးကို မနက်၊ ညနေ သောက်ပါ။ |ရေသောက်ပါ။
နာပါသလား။ |မနာပါ။
ပမာဏမှာ 2.5 mg ဖြစ်သည်။ |မပိုပါစေနှင့်။
လက်ဆေးပါ။|နားပါ။
သတိထားပါ! |မထိပါနှင့်။
“ဖျားလား။” |မဖျားပါ။
pH သည် 7.4 ဖြစ်သည်။ |ပုံမှန်။
""",
    "bod": r"""
ནད་པ་ཚ་བ་ཡོད་པ་རེད། |ཁོང་ལ་སྨན་དགོས།
སྨན་འདི་དང་། ཆུ་འཐུང་དགོས། |ངལ་གསོ་རྒྱག་དགོས།
ཁོང་ཚ་བ་ཡོད་ནས། སྨན་ཁང་ལ་ཕྱིན་པ་རེད། |དེ་རིང་དྲག་སོང་།
ལག་པ་བཀྲུས་ཏེ། ཁ་ལག་བཟའ་དགོས། |སྨན་བཟའ་དགོས།
ན་གི་འདུག་གམ། |མི་འདུག །
ཁྲག་ཤེད་ 2.5 རེད། |ཡག་པོ་རེད།
བཀྲ་ཤིས་བདེ་ལེགས།། |ཐུགས་རྗེ་ཆེ།།
ཆུ་འཐུང་ན། ཕན་ཐོགས་ཡོད། |ངལ་གསོ་རྒྱོབ།
""",
    "kor": r"""
환자는 열이 있습니다. |기침도 합니다.
용량은 2.5 mg입니다. |식후에 드세요.
아프세요? |네. |어디가요?
김 박사는 "괜찮다."고 말했다. |그리고 떠났다.
pH는 7.4이다. |정상이다.
조심하세요! |위험합니다.
그림 2.3을 보세요. |결과는 같다.
1. 손을 씻으세요. |2. 말리세요.
""",
    "heb": r"""
יש לך חום? |לא. |טוב.
המינון הוא 2.5 מ"ג. |אין לעבור עליו.
ד"ר כהן הגיע. |הוא בדק את החולה.
ה-pH היה 7.4. |זה תקין.
זהירות! |לא לגעת.
ראה איור 2. |התוצאה תקינה.
א. לוי בא. |הוא חולה.
שתה מים. |נוח.
""",
    "kat": r"""
პაციენტს სიცხე აქვს. |ის ახველებს.
დოზა არის 2.5 მგ. |არ გადააჭარბოთ.
გტკივათ? |დიახ.
ფრთხილად! |არ შეეხოთ.
იგი 2020 წ. დაიბადა. |ცხოვრობს აქ.
მედიკამენტები, მაგ. ასპირინი, ეხმარება. |დაისვენეთ.
pH არის 7.4. |ნორმაა.
დალიეთ წყალი. |დაიძინეთ.
""",
    "hau": r"""
Dr. Bello ya zo. |Ya ba da 2.5 mg.
Kana jin ciwo? |A'a.
A sha ruwa! |A huta.
Duba Fig. 3. |Sakamakon yana da kyau.
pH ya kai 7.4. |Daidai ne.
A sha magani, misali paracetamol. |Sau biyu a rana.
"Ka warke?" ya tambaya. |I.
1. Wanke hannu. |2. Bushe.
""",
}
